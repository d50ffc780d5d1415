/* ---- C: elementary functions as straight lines of arithmetic, so that the compiler vectorises the node loop. ----
 *
 * Polynomials: Chebyshev interpolation on the reduced interval. Rounding goes through an integer conversion, since
 * adding and subtracting a large number does not survive reassociation; reductions use fma for the same reason.
 * Overflow gives inf, an invalid argument NaN (both set through bits). Subnormal results are flushed to zero.
 * sin, cos, tan: |x| < 1e5 (fp64), 1e3 (fp32). */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
#define UP_FMA(a, b, c) UP_BUILTIN(fma)(a, b, c)
#else
#define UP_FMA(a, b, c) ((a) * (b) + (c))
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
UP_INLINE int up_round(real x) { return (int)(x + (x < 0 ? UP_C(-0.5) : UP_C(0.5))); }
UP_INLINE real up_power_of_two(int n) { return up_real_of((up_bits)(n + UP_BIAS) << UP_MANTISSA); }
UP_INLINE real up_invalid_where(int invalid, real x)
{
    return up_real_of(up_bits_of(x) | (invalid ? UP_NAN : 0));
}

/* x = n ln 2 + r */
UP_INLINE real up_reduce_ln2(real x, real n) { return UP_FMA(-n, UP_LN2_LO, UP_FMA(-n, UP_LN2_HI, x)); }

UP_INLINE real up_exp(real x)
{
    x = x < UP_EXP_MAX ? x : UP_EXP_MAX;   /* n = BIAS + 1: the factor is inf */
    x = x > UP_EXP_MIN ? x : UP_EXP_MIN;   /* n = -BIAS: the factor is 0 */
    int n = up_round(x * UP_C(1.4426950408889634));
    real r = up_reduce_ln2(x, (real)n);
    return (1 + r * (1 + r * up_exp_poly(r))) * up_power_of_two(n);
}

UP_INLINE real up_expm1(real x)
{
    x = x < UP_EXPM1_MAX ? x : UP_EXPM1_MAX;
    x = x > UP_EXP_MIN ? x : UP_EXP_MIN;
    int n = up_round(x * UP_C(1.4426950408889634));
    real r = up_reduce_ln2(x, (real)n);
    real p = r + r * r * up_exp_poly(r);
    real factor = up_power_of_two(n);
    return factor * p + (factor - 1);
}

/* log(2^e (1 + f)), sqrt(1/2) <= 1 + f < sqrt(2) */
UP_INLINE real up_log_of_parts(real e, real f)
{
    real s = f / (2 + f), z = s * s, h = UP_C(0.5) * f * f;
    return e * UP_LN2_HI + (f - (h - (s * (h + z * up_atanh_poly(z)) + e * UP_LN2_LO)));
}

/* The logarithm y of x where x is regular; else -inf at 0, inf at inf, NaN below 0 and at NaN. */
UP_INLINE real up_log_special(real x, real y)
{
    up_bits b = up_bits_of(x), special = b == UP_INF ? UP_INF : (up_bits)(b << 1) == 0 ? UP_INF | UP_SIGN : UP_NAN;
    return up_real_of(b - 1 < UP_INF - 1 ? up_bits_of(y) : special);
}

UP_INLINE real up_log(real x)
{
    up_bits b = up_bits_of(x) + (UP_ONE - UP_SQRT_HALF);
    int e = (int)(b >> UP_MANTISSA) - UP_BIAS;
    real f = up_real_of((b & UP_FRACTION) + UP_SQRT_HALF) - 1;
    return up_log_special(x, up_log_of_parts((real)e, f));
}

UP_INLINE real up_log1p(real x)
{
    real u = 1 + x;
    up_bits b = up_bits_of(u) + (UP_ONE - UP_SQRT_HALF);
    int e = (int)(b >> UP_MANTISSA) - UP_BIAS;
    real f = up_real_of((b & UP_FRACTION) + UP_SQRT_HALF) - 1;
    return up_log_special(u, up_log_of_parts((real)e, e == 0 ? x : f));
}

UP_INLINE real up_log10(real x) { return up_log(x) * UP_C(0.43429448190325182765); }

/* exp(y log|x|), with the sign and the exceptions of pow at x <= 0. Relative error about |y log x| rounding units. */
UP_INLINE real up_pow(real x, real y)
{
    real size = up_exp(y * up_log(up_fabs(x)));
    real half = UP_C(0.5) * y;
    int whole = up_floor(y) == y, odd = whole & (up_floor(half) != half);
    real value = (x < 0) & odd ? -size : size;
    return y == 0 ? 1 : up_invalid_where((x < 0) & !whole, value);
}

UP_INLINE real up_cbrt(real x)
{
    real a = up_fabs(x), safe = a > 0 ? a : 1;
    real y = up_exp(up_log(safe) * UP_C(0.33333333333333333333));
    y = y - (y * y * y - safe) / (3 * y * y);
    return up_copysign(a > 0 ? y : 0, x);
}

UP_INLINE real up_tanh(real x)
{
    real d = 2 * x < 40 ? 2 * x : 40;
    real m = up_expm1(d);
    return m / (m + 2);
}
UP_INLINE real up_sinh(real x)
{
    real m = up_expm1(up_fabs(x));
    return up_copysign(UP_C(0.5) * (m + m / (m + 1)), x);
}
UP_INLINE real up_cosh(real x)
{
    real e = up_exp(up_fabs(x));
    return UP_C(0.5) * (e + 1 / e);
}

/* x = n pi/2 + r; the sine of x where shift = 0, its cosine where shift = 1 */
UP_INLINE real up_sine(real x, int shift)
{
    int n = up_round(x * UP_C(0.6366197723675814));
    real k = (real)n;
    real r = UP_FMA(-k, UP_HALF_PI_LO, UP_FMA(-k, UP_HALF_PI_MID, UP_FMA(-k, UP_HALF_PI_HI, x)));
    real z = r * r;
    real s = r + r * z * up_sin_poly(z), c = 1 + (z * z * up_cos_poly(z) - UP_C(0.5) * z);
    int quadrant = n + shift;
    real v = quadrant & 1 ? c : s;
    return quadrant & 2 ? -v : v;
}
UP_INLINE real up_sin(real x) { return up_sine(x, 0); }
UP_INLINE real up_cos(real x) { return up_sine(x, 1); }
UP_INLINE real up_tan(real x) { return up_sine(x, 0) / up_sine(x, 1); }

/* The angle of the point (x, y), x, y >= 0: octant reduction, then the tangent of a difference. */
UP_INLINE real up_angle(real y, real x)
{
    int steep = y > x;
    real low = steep ? x : y, high = steep ? y : x;
    int wide = low > UP_C(0.41421356237309504880) * high;
    real top = wide ? low - high : low, bottom = wide ? low + high : high;
    real a = top / (bottom > 0 ? bottom : 1), z = a * a;
    real angle = (wide ? UP_C(0.25) * UP_PI : 0) + (a + a * z * up_atan_poly(z));
    return steep ? UP_C(0.5) * UP_PI - angle : angle;
}
UP_INLINE real up_atan2(real y, real x)
{
    real angle = up_angle(up_fabs(y), up_fabs(x));
    return up_copysign(x < 0 ? UP_PI - angle : angle, y);
}
UP_INLINE real up_atan(real x) { return up_copysign(up_angle(up_fabs(x), 1), x); }
UP_INLINE real up_asin(real x)
{
    real c = (1 - x) * (1 + x);
    return up_invalid_where(c < 0, up_atan2(x, up_sqrt(up_fabs(c))));
}
UP_INLINE real up_acos(real x)
{
    real c = (1 - x) * (1 + x);
    return up_invalid_where(c < 0, up_atan2(up_sqrt(up_fabs(c)), x));
}

/* x - y trunc(x/y), put right where the quotient was rounded across an integer */
UP_INLINE real up_fmod(real x, real y)
{
    real a = up_fabs(x), b = up_fabs(y);
    real r = a - b * up_floor(a / b);
    r = r < 0 ? r + b : r;
    r = r < b ? r : r - b;
    return up_copysign(r, x);
}
