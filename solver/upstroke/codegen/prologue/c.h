/* ---- C: vectorisation, bits. Needs no header: any C11 compiler with GNU builtins (gcc, clang, zig). ---- */
#define UP_INLINE static inline __attribute__((always_inline))
#define UP_EXPORT __attribute__((visibility("default")))
#define UP_VECTORISE _Pragma("omp simd reduction(|:up_bad,up_clamped)")
#define UP_PRAGMA_SIMD _Pragma("omp simd")

#if UP_FP64
#define UP_BUILTIN(name) __builtin_##name
#else
#define UP_BUILTIN(name) __builtin_##name##f
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
#define UP_FMA(a, b, c) UP_BUILTIN(fma)(a, b, c)
#else
#define UP_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* Nodes that one pass of the vector loop takes: as many as a vector has lanes. Ranges are padded to a
 * multiple, so every node is computed by the same instructions and results do not depend on how a range is split. */
#ifdef UP_LANES                    /* 1L makes the kernel of a single cell: nothing is spent on lanes left over */
#elif defined(__AVX512F__)
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

/* x within [low, high], a NaN as it is. */
UP_INLINE real up_limit(real x, real low, real high)
{
    x = up_select(x > high, high, x);
    return up_select(x < low, low, x);
}

/* 1 where x is inf or NaN; by bits, because the compiler may assume that there are none. */
UP_INLINE up_bits up_nonfinite(real x) { return (up_bits_of(x) & UP_INF) == UP_INF; }

/* t + k dt, rounded twice, as the caller would: contraction would make k single steps differ from k in one call. */
static inline double up_time(double t, long k, double dt)
{
    volatile double passed = (double)k * dt;
    return t + passed;
}

#define up_div(a, b) ((a) / (b))
