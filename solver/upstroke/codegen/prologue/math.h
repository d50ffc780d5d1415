/* ---- both frames: elementary functions as straight lines of arithmetic: C vectorises the node loop, CUDA does not
 * branch, and both get the same results to the rounding of contracted products. ----
 *
 * Polynomials: Chebyshev interpolation on the reduced interval. Rounding to an integer is the addition of
 * UP_ROUND = 1.5 2^MANTISSA, which leaves the integer in the low bits, so no lane changes its width; that, and the
 * splitting of constants, rests on the order of operations: compile without -ffast-math and -fassociative-math.
 * Overflow gives inf, an invalid argument NaN, a NaN stays one. Subnormal results are flushed to zero.
 * sin, cos, tan: |x| < 1e5 (fp64), 1e3 (fp32). */
#ifdef __FAST_MATH__
#error "compile without -ffast-math: see above"
#endif

#if UP_FP64
#define UP_LN2_HI 0.6931471805598903        /* 42 bits */
#define UP_LN2_LO 5.497923018708371e-14
#define UP_HALF_PI_HI 1.5707963267341256    /* 33 bits each */
#define UP_HALF_PI_MID 6.077100506303966e-11
#define UP_HALF_PI_LO 2.0222662487959506e-21
#define UP_EXP_MAX 709.9
#define UP_EXP_MIN -709.4
#define UP_EXPM1_MAX 709.4
#define UP_ROUND 6755399441055744.0         /* 1.5 2^52 */
#define UP_SPACING_ONE 4503599627370496.0   /* 2^52: from here on reals are integers */
#define UP_SQRT_HALF 0x3fe6a09e667f3bcdull
#else
#define UP_LN2_HI 0.693145751953125f        /* 15 bits */
#define UP_LN2_LO 1.428606765330187e-06f
#define UP_HALF_PI_HI 1.5703125f            /* 11 bits each */
#define UP_HALF_PI_MID 0.0004837512969970703f
#define UP_HALF_PI_LO 7.549789415861596e-08f
#define UP_EXP_MAX 88.9f
#define UP_EXP_MIN -88.3f
#define UP_EXPM1_MAX 88.3f
#define UP_ROUND 12582912.0f                /* 1.5 2^23 */
#define UP_SPACING_ONE 8388608.0f           /* 2^23: from here on reals are integers */
#define UP_SQRT_HALF 0x3f3504f3u
#endif
#define UP_PI UP_C(3.14159265358979323846)

/* (e^r - 1 - r) / r^2, |r| <= ln(2)/2 */
UP_INLINE real up_exp_poly(real r)
{
#if UP_FP64
    return 0.50000000000000011 + r * (0.16666666666666669 + r * (0.041666666666624039 + r * (0.0083333333333300546
        + r * (0.0013888888917258759 + r * (0.00019841269863088255 + r * (2.4801521225986432e-05
        + r * (2.7557268406190795e-06 + r * (2.7620121717381933e-07 + r * 2.51004110820149e-08))))))));
#else
    return 0.5f + r * (0.166665769f + r * (0.0416665545f + r * (0.00836319488f + r * 0.00139262034f)));
#endif
}

/* 2 (atanh(s)/s - 1) / s^2 as a function of z = s^2, |s| <= 3 - 2 sqrt(2) */
UP_INLINE real up_atanh_poly(real z)
{
#if UP_FP64
    return 0.66666666666666696 + z * (0.39999999999899238 + z * (0.28571428626095891 + z * (0.22222211115144161
        + z * (0.18182890556695602 + z * (0.15331674030167861 + z * 0.1461703754879165)))));
#else
    return 0.666666851f + z * (0.399887707f + z * 0.295803983f);
#endif
}

/* (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 as functions of z = r^2, |r| <= pi/4 */
UP_INLINE real up_sin_poly(real z)
{
#if UP_FP64
    return -0.16666666666666666 + z * (0.008333333333330948 + z * (-0.00019841269836757121
        + z * (2.7557316101799092e-06 + z * (-2.5051131688000297e-08 + z * 1.5918117983848815e-10))));
#else
    return -0.166666647f + z * (0.00833274818f + z * -0.000195878706f);
#endif
}

UP_INLINE real up_cos_poly(real z)
{
#if UP_FP64
    return 0.041666666666666664 + z * (-0.0013888888888887398 + z * (2.4801587298764778e-05
        + z * (-2.7557317271258515e-07 + z * (2.0876146170183976e-09 + z * -1.1382625349447592e-11))));
#else
    return 0.0416666647f + z * (-0.00138883029f + z * 2.45479217e-05f);
#endif
}

/* (atan(a) - a) / a^3 as a function of z = a^2, |a| <= sqrt(2) - 1 */
UP_INLINE real up_atan_poly(real z)
{
#if UP_FP64
    return -0.33333333333333331 + z * (0.19999999999995519 + z * (-0.14285714284666184 + z * (0.11111111015227572
        + z * (-0.090909045769541175 + z * (0.076921831636508939 + z * (-0.06664511064599371
        + z * (0.058581455876282017 + z * (-0.050854323376990765 + z * (0.039231155619872303
        + z * -0.019176271517526339)))))))));
#else
    return -0.333333318f + z * (0.199995404f + z * (-0.142639532f + z * (0.107437053f + z * -0.0645184128f)));
#endif
}

UP_INLINE real up_fabs(real x) { return UP_BUILTIN(fabs)(x); }
UP_INLINE real up_sqrt(real x) { return UP_BUILTIN(sqrt)(x); }
UP_INLINE real up_floor(real x) { return UP_BUILTIN(floor)(x); }
UP_INLINE real up_ceil(real x) { return UP_BUILTIN(ceil)(x); }
UP_INLINE real up_copysign(real size, real sign)
{
    return up_real_of((up_bits_of(size) & ~UP_SIGN) | (up_bits_of(sign) & UP_SIGN));
}
UP_INLINE real up_invalid_where(up_bits invalid, real x)
{
    return up_real_of(up_bits_of(x) | (-invalid & UP_NAN));
}

/* x = n ln 2 + r, |r| <= ln(2)/2; *factor = 2^n, 0 for n = -BIAS, inf for n = BIAS + 1 */
UP_INLINE real up_reduce_ln2(real x, real *factor)
{
    const real sum = x * UP_C(1.4426950408889634) + (UP_ROUND + UP_BIAS), n = sum - (UP_ROUND + UP_BIAS);
    *factor = up_real_of(up_bits_of(sum) << UP_MANTISSA);
    return UP_FMA(-n, UP_LN2_LO, UP_FMA(-n, UP_LN2_HI, x));
}

#ifndef UP_HAS_EXP
UP_INLINE real up_exp(real x)
{
    real factor;
    x = up_limit(x, UP_EXP_MIN, UP_EXP_MAX);
    const real r = up_reduce_ln2(x, &factor);
    return (1 + r * (1 + r * up_exp_poly(r))) * factor;
}
#endif

UP_INLINE real up_expm1(real x)
{
    real factor;
    x = up_limit(x, UP_EXP_MIN, UP_EXPM1_MAX);
    const real r = up_reduce_ln2(x, &factor), p = r + r * r * up_exp_poly(r);
    return factor * p + (factor - 1);
}

/* log(2^e (1 + f)), sqrt(1/2) <= 1 + f < sqrt(2) */
UP_INLINE real up_log_of_parts(real e, real f)
{
    const real s = up_div(f, 2 + f), z = s * s, h = UP_C(0.5) * f * f;
    return e * UP_LN2_HI + (f - (h - (s * (h + z * up_atanh_poly(z)) + e * UP_LN2_LO)));
}

/* The logarithm y of x where x is regular; else -inf at 0, inf at inf, NaN below 0 and at NaN. */
UP_INLINE real up_log_special(real x, real y)
{
    const up_bits b = up_bits_of(x), regular = b - 1 < UP_INF - 1;
    const real special = up_select(x == 0, -up_real_of(UP_INF), up_select(x > 0, x, up_real_of(UP_NAN)));
    return up_select(regular, y, special);
}

/* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2) */
UP_INLINE real up_split(real x, real *e)
{
    const up_bits b = up_bits_of(x) + (UP_ONE - UP_SQRT_HALF);
    *e = up_real_of((b >> UP_MANTISSA) | up_bits_of(UP_SPACING_ONE)) - (UP_SPACING_ONE + UP_BIAS);
    return up_real_of((b & UP_FRACTION) + UP_SQRT_HALF) - 1;
}

UP_INLINE real up_log(real x)
{
    real e;
    const real f = up_split(x, &e);
    return up_log_special(x, up_log_of_parts(e, f));
}

UP_INLINE real up_log1p(real x)
{
    real e;
    const real u = 1 + x, f = up_split(u, &e);
    return up_log_special(u, up_log_of_parts(e, up_select(e == 0, x, f)));
}

UP_INLINE real up_log10(real x) { return up_log(x) * UP_C(0.43429448190325182765); }

/* exp(y log|x|), with the sign and the exceptions of pow at x <= 0. Relative error about |y log x| rounding units. */
UP_INLINE real up_pow(real x, real y)
{
    const real size = up_exp(y * up_log(up_fabs(x)));
    const real half = UP_C(0.5) * y;
    const up_bits negative = x < 0, whole = up_floor(y) == y, odd = whole & (up_floor(half) != half);
    const real value = up_select(negative & odd, -size, size);
    return up_select(y == 0, 1, up_invalid_where(negative & (whole ^ 1), value));
}

UP_INLINE real up_cbrt(real x)
{
    const real a = up_fabs(x), safe = up_select(a == 0, 1, a);
    const real y = up_exp(up_log(safe) * UP_C(0.33333333333333333333));
    return up_copysign(up_select(a == 0, 0, y - up_div(y * y * y - safe, 3 * y * y)), x);
}

UP_INLINE real up_tanh(real x)
{
    const real m = up_expm1(up_select(x > 20, 40, 2 * x));
    return up_div(m, m + 2);
}
UP_INLINE real up_sinh(real x)
{
    const real m = up_expm1(up_fabs(x));
    return up_copysign(UP_C(0.5) * (m + up_div(m, m + 1)), x);
}
UP_INLINE real up_cosh(real x)
{
    const real e = up_exp(up_fabs(x));
    return UP_C(0.5) * (e + up_div(1, e));
}

/* x = n pi/2 + r; the sine of x where shift = 0, its cosine where shift = 1 */
UP_INLINE real up_sine(real x, up_bits shift)
{
    const real sum = x * UP_C(0.6366197723675814) + UP_ROUND, n = sum - UP_ROUND;
    const up_bits quadrant = up_bits_of(sum) + shift;
    const real r = UP_FMA(-n, UP_HALF_PI_LO, UP_FMA(-n, UP_HALF_PI_MID, UP_FMA(-n, UP_HALF_PI_HI, x))), z = r * r;
    const real s = r + r * z * up_sin_poly(z), c = 1 + (z * z * up_cos_poly(z) - UP_C(0.5) * z);
    return up_real_of(up_bits_of(up_select(quadrant & 1, c, s)) ^ (quadrant >> 1) << (sizeof(real) * 8 - 1));
}
UP_INLINE real up_sin(real x) { return up_sine(x, 0); }
UP_INLINE real up_cos(real x) { return up_sine(x, 1); }
UP_INLINE real up_tan(real x) { return up_div(up_sine(x, 0), up_sine(x, 1)); }

/* The angle of the point (x, y), x, y >= 0: octant reduction, then the tangent of a difference. */
UP_INLINE real up_angle(real y, real x)
{
    const up_bits steep = y > x;
    const real low = up_select(steep, x, y), high = up_select(steep, y, x);
    const up_bits wide = low > UP_C(0.41421356237309504880) * high;
    const real top = up_select(wide, low - high, low), bottom = up_select(wide, low + high, high);
    const real a = up_div(top, up_select(bottom == 0, 1, bottom)), z = a * a;
    const real angle = up_select(wide, UP_C(0.25) * UP_PI, 0) + (a + a * z * up_atan_poly(z));
    return up_select(steep, UP_C(0.5) * UP_PI - angle, angle);
}
UP_INLINE real up_atan2(real y, real x)
{
    const real angle = up_angle(up_fabs(y), up_fabs(x));
    return up_copysign(up_select(x < 0, UP_PI - angle, angle), y);
}
UP_INLINE real up_atan(real x) { return up_copysign(up_angle(up_fabs(x), 1), x); }
UP_INLINE real up_asin(real x)
{
    const real c = (1 - x) * (1 + x);
    return up_invalid_where(c < 0, up_atan2(x, up_sqrt(up_fabs(c))));
}
UP_INLINE real up_acos(real x)
{
    const real c = (1 - x) * (1 + x);
    return up_invalid_where(c < 0, up_atan2(up_sqrt(up_fabs(c)), x));
}

/* x - y trunc(x/y), put right where the quotient was rounded across an integer */
UP_INLINE real up_fmod(real x, real y)
{
    const real a = up_fabs(x), b = up_fabs(y);
    const real r = a - b * up_floor(up_div(a, b)), s = up_select(r < 0, r + b, r);
    return up_copysign(up_select(s < b, s, s - b), x);
}
