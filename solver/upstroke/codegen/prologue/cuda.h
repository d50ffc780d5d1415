/* ---- CUDA: types and functions. Needs no header under NVRTC; nvcc brings its own. ---- */
#pragma nv_diag_suppress 177, 550   /* a model uses some of the functions and arrays, not all */
#define UP_INLINE static __device__ __forceinline__

#if UP_FP64
typedef double real;
typedef unsigned long long up_bits;
#define UP_C(x) x
#else
typedef float real;
typedef unsigned int up_bits;
#define UP_C(x) x##f
#endif

#define up_select(c, x, y) ((c) ? (x) : (y))

UP_INLINE real up_fabs(real x) { return fabs(x); }
UP_INLINE real up_sqrt(real x) { return sqrt(x); }
UP_INLINE real up_floor(real x) { return floor(x); }
UP_INLINE real up_ceil(real x) { return ceil(x); }
UP_INLINE real up_exp(real x) { return exp(x); }
UP_INLINE real up_expm1(real x) { return expm1(x); }
UP_INLINE real up_log(real x) { return log(x); }
UP_INLINE real up_log1p(real x) { return log1p(x); }
UP_INLINE real up_log10(real x) { return log10(x); }
UP_INLINE real up_pow(real x, real y) { return pow(x, y); }
UP_INLINE real up_cbrt(real x) { return cbrt(x); }
UP_INLINE real up_sin(real x) { return sin(x); }
UP_INLINE real up_cos(real x) { return cos(x); }
UP_INLINE real up_tan(real x) { return tan(x); }
UP_INLINE real up_asin(real x) { return asin(x); }
UP_INLINE real up_acos(real x) { return acos(x); }
UP_INLINE real up_atan(real x) { return atan(x); }
UP_INLINE real up_atan2(real y, real x) { return atan2(y, x); }
UP_INLINE real up_sinh(real x) { return sinh(x); }
UP_INLINE real up_cosh(real x) { return cosh(x); }
UP_INLINE real up_tanh(real x) { return tanh(x); }
UP_INLINE real up_fmod(real x, real y) { return fmod(x, y); }

UP_INLINE up_bits up_nonfinite(real x) { return !isfinite(x); }

/* t + k dt, rounded twice, as the host would: contraction would make k single steps differ from k in one launch. */
UP_INLINE double up_time(double t, long k, double dt) { return __dadd_rn(t, __dmul_rn((double)k, dt)); }
