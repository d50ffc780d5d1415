/* ---- CUDA: bits, range limits, time. Needs no header under NVRTC; nvcc brings its own. ---- */
#pragma nv_diag_suppress 177, 550   /* a model uses some of the functions and arrays, not all */
#define UP_INLINE static __device__ __forceinline__
#define UP_BUILTIN(name) name
#define UP_FMA(a, b, c) fma(a, b, c)

UP_INLINE up_bits up_bits_of(real x) { union { real x; up_bits b; } u; u.x = x; return u.b; }
UP_INLINE real up_real_of(up_bits b) { union { real x; up_bits b; } u; u.b = b; return u.x; }

#define up_select(c, x, y) ((c) ? (x) : (y))

UP_INLINE up_bits up_nonfinite(real x) { return (up_bits_of(x) & UP_INF) == UP_INF; }

/* x within low < 0 < high to the last bit but 32, a NaN as it is. fp64 compares high words, as integers: the fp64 pipe
 * is what bounds these kernels. fp32 takes the library's exp: the hardware's ex2 after a reduction, 1 ulp. */
#if UP_FP64
UP_INLINE real up_limit(real x, real low, real high)
{
    const unsigned inf = 0x7ff00000u, minus_inf = 0xfff00000u;
    const unsigned most = up_bits_of(high) >> 32, least = up_bits_of(low) >> 32;
    unsigned word = up_bits_of(x) >> 32;
    word = word - (most + 1) <= inf - (most + 1) ? most : word;
    word = word - (least + 1) <= minus_inf - (least + 1) ? least : word;
    return up_real_of((up_bits)word << 32 | (unsigned)up_bits_of(x));
}
#else
#define UP_HAS_EXP
UP_INLINE real up_limit(real x, real low, real high)
{
    x = x > high ? high : x;
    return x < low ? low : x;
}
UP_INLINE real up_exp(real x) { return expf(x); }
#endif

/* t + k dt, rounded twice, as the host would: contraction would make k single steps differ from k in one launch. */
UP_INLINE double up_time(double t, long k, double dt) { return __dadd_rn(t, __dmul_rn((double)k, dt)); }
