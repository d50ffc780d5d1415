/* ---- C: types, vectorisation, bits. Needs no header: any C11 compiler with GNU builtins (gcc, clang, zig). ---- */
#define UP_INLINE static inline __attribute__((always_inline))
#define UP_EXPORT __attribute__((visibility("default")))
#define UP_VECTORISE _Pragma("omp simd reduction(|:up_bad,up_clamped)")
#define UP_PRAGMA_SIMD _Pragma("omp simd")

#if UP_FP64
typedef double real;
typedef unsigned long long up_bits;
#define UP_C(x) x
#define UP_BUILTIN(name) __builtin_##name
#define UP_MANTISSA 52
#define UP_BIAS 1023
#else
typedef float real;
typedef unsigned int up_bits;
#define UP_C(x) x##f
#define UP_BUILTIN(name) __builtin_##name##f
#define UP_MANTISSA 23
#define UP_BIAS 127
#endif
#define UP_INF ((up_bits)(2 * UP_BIAS + 1) << UP_MANTISSA)
#define UP_NAN (UP_INF | (up_bits)1 << (UP_MANTISSA - 1))
#define UP_ONE ((up_bits)UP_BIAS << UP_MANTISSA)
#define UP_FRACTION (((up_bits)1 << UP_MANTISSA) - 1)
#define UP_SIGN ((up_bits)1 << (sizeof(real) * 8 - 1))

/* Nodes that one pass of the vector loop takes: as many as a vector has lanes. Ranges are padded to a
 * multiple, so every node is computed by the same instructions and results do not depend on how a range is split. */
#if defined(__AVX512F__)
#define UP_LANES ((long)(64 / sizeof(real)))
#else
#define UP_LANES ((long)(32 / sizeof(real)))
#endif
#define UP_BLOCK (32 * UP_LANES)   /* nodes that take all their steps before the next ones do: they stay in cache */

UP_INLINE up_bits up_bits_of(real x) { up_bits b; __builtin_memcpy(&b, &x, sizeof b); return b; }
UP_INLINE real up_real_of(up_bits b) { real x; __builtin_memcpy(&x, &b, sizeof x); return x; }

/* c ? x : y without a branch: gcc gives up vectorising a loop whose arms hold much arithmetic. */
UP_INLINE real up_select(up_bits c, real x, real y)
{
    const up_bits mask = -c;
    return up_real_of((up_bits_of(x) & mask) | (up_bits_of(y) & ~mask));
}

/* 1 where x is inf or NaN; by bits, because the compiler may assume that there are none. */
UP_INLINE up_bits up_nonfinite(real x) { return (up_bits_of(x) & UP_INF) == UP_INF; }

/* t + k dt, rounded twice, as the caller would: contraction would make k single steps differ from k in one call. */
static inline double up_time(double t, long k, double dt)
{
    volatile double passed = (double)k * dt;
    return t + passed;
}
