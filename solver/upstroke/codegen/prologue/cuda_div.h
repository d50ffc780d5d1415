/* ---- CUDA: division without the compiler's subroutine, which doubles the length of a kernel. ----
 *
 * fp64: r = (1 + e0) / b from the hardware, which reads and writes upper words only (20 bits of the fraction): |e0| is
 * about 2^-20. With e = 1 - b r, rounded once,  a/b = a r (1 + e + e^2 + ...); the terms up to e^2 leave e^3. Measured
 * on a million operands with modelled guesses: 1.00 ulp, 0.51 ulp where a = 1 (1.14 and 0.71 with guesses that are two
 * of their last places worse); over a beat of tenTusscherPanfilov at dt 0.02 ms, V moves by less than 1e-11 mV.
 * fp32: a r, with r good to 1 ulp: 3 ulp at most. A beat ends up as far from fp64, 0.004 mV, as with exact division.
 * 0/0 and inf/inf are NaN, a/0 is inf, a/inf is 0: then a r is it already, and the correction, which would be NaN, is
 * left out. It is left out, too, where |a/b| is beyond 2^+-1015, which costs accuracy there. Subnormal divisors count as
 * 0, those above 2^1022 (fp32: 2^126) as inf.
 * Without the hardware (UPSTROKE_EMULATED) the first guess is modelled; UP_SEED_ERROR makes it worse for tests. */
#ifdef UPSTROKE_EMULATED
#ifndef UP_SEED_ERROR
#define UP_SEED_ERROR 0
#endif
#if UP_FP64
UP_INLINE real up_rcp_seed(real b)
{
    const up_bits upper = ~(up_bits)0xffffffffu, exponent = up_bits_of(b) & UP_INF;
    const real r = 1 / up_real_of(exponent ? up_bits_of(b) & upper : up_bits_of(b) & UP_SIGN);
    const up_bits bits = up_bits_of(r) & upper, size = bits & UP_INF;
    if (size == UP_INF) return r;
    return up_real_of(size ? bits + ((up_bits)UP_SEED_ERROR << 32) : bits & UP_SIGN);
}
UP_INLINE up_bits up_correctable(real q)
{
    return (unsigned)(up_bits_of(q) >> 32 & 0x7fffffffu) - 0x00800001u < 0x7f800000u - 0x00800001u;
}
#else
UP_INLINE real up_rcp_seed(real b)
{
    const up_bits exponent = up_bits_of(b) & UP_INF;
    const real r = 1 / up_real_of(exponent ? up_bits_of(b) : up_bits_of(b) & UP_SIGN);
    const up_bits bits = up_bits_of(r), size = bits & UP_INF;
    if (size == UP_INF) return r;
    return up_real_of(size ? bits + (up_bits)UP_SEED_ERROR : bits & UP_SIGN);
}
#endif
#elif UP_FP64
UP_INLINE real up_rcp_seed(real b)
{
    real r;
    asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(b));
    return r;
}
/* One comparison on the fp32 pipe: the upper word of a double, read as a float, is NaN from 2^1017 on. */
UP_INLINE bool up_correctable(real q) { return fabsf(__int_as_float(__double2hiint(q))) > 1.1754943508222875e-38f; }
#else
UP_INLINE real up_rcp_seed(real b)
{
    real r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(b));
    return r;
}
#endif

UP_INLINE real up_div(real a, real b)
{
    const real r = up_rcp_seed(b), q = a * r;
#if UP_FP64
    const real e = UP_FMA(-b, r, 1), c = UP_FMA(e, e, e);
    return up_select(up_correctable(q), UP_FMA(q, c, q), q);
#else
    return q;
#endif
}
