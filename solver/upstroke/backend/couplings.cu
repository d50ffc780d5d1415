/* Rows of couplings between neighbours, as couplings.py stores them. ROWS_REPEAT says in which form. */
#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;
#endif

typedef struct {
    const long *start;      /* sliced rows: the first entry of each slice of 32 rows */
    const int *column;      /* the column of an entry; of repeated rows: the column less the row */
    const int *kind;        /* repeated rows: which kind row i is */
    long kinds, width;      /* repeated rows: how many kinds, how many entries each has */
} rows;

/* sum_j values_ij (x_j - x_i): what leaves one node arrives at the other, and a uniform field stays uniform. Plain loads:
 * x may have been written by other blocks of the same launch, which the read-only cache would not see. */
template <class T>
static __device__ __forceinline__ double couple(const rows &a, const float *values, long i, const T *x)
{
    const double own = x[i];
    double sum = 0;
#if ROWS_REPEAT
    const int kind = a.kind[i];
#pragma unroll 2        /* more spills registers in the solvers */
    for (long k = kind; k < a.width * a.kinds; k += a.kinds)
        sum += (double)values[k] * ((double)x[i + a.column[k]] - own);
#else
    const long last = a.start[i / 32 + 1] * 32;
#pragma unroll 4
    for (long k = a.start[i / 32] * 32 + i % 32; k < last; k += 32)
        sum += (double)values[k] * ((double)x[a.column[k]] - own);
#endif
    return sum;
}

/* The increment of V by diffusion over a step, for kernels that take reaction and diffusion from the same state. */
typedef struct {
    rows pattern;
    const float *K;
    const double *inverse_mass;   /* 1 / lumped mass */
    double dt;                    /* ms */
    long begin;                   /* row of the kernel's first node */
} up_couplings;

template <class T>
static __device__ __forceinline__ T up_coupling(const up_couplings *c, long i, const T *V)
{
    const long row = c->begin + i;
    return (T)(-c->dt * couple(c->pattern, c->K, row, V - c->begin) * c->inverse_mass[row]);
}
