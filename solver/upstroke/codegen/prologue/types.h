/* ---- both frames: types and bits ---- */
#if UP_FP64
typedef double real;
typedef unsigned long long up_bits;
#define UP_C(x) x
#define UP_MANTISSA 52
#define UP_BIAS 1023
#else
typedef float real;
typedef unsigned int up_bits;
#define UP_C(x) x##f
#define UP_MANTISSA 23
#define UP_BIAS 127
#endif
#define UP_INF ((up_bits)(2 * UP_BIAS + 1) << UP_MANTISSA)
#define UP_NAN (UP_INF | (up_bits)1 << (UP_MANTISSA - 1))
#define UP_ONE ((up_bits)UP_BIAS << UP_MANTISSA)
#define UP_FRACTION (((up_bits)1 << UP_MANTISSA) - 1)
#define UP_SIGN ((up_bits)1 << (sizeof(real) * 8 - 1))

