/* The increment of V by diffusion over a step, for kernels that take reaction and diffusion from the same state (C). The
 * rows lie in slices of 8, as couplings.py stores them. */
typedef struct {
    const long *start;
    const int *column;
    const float *K;
    const double *inverse_mass;   /* 1 / lumped mass */
    double dt;                    /* ms */
    long begin;                   /* row of the kernel's first node */
} up_couplings;

/* The rows `from` to `to` of one slice: their lanes are sums of their own, which go into one vector register. */
static inline __attribute__((always_inline)) void
up_couple_slice(const up_couplings *c, long from, long to, const real *V, real *increment)
{
    const long slice = from / 8, lanes = to - from, first = from % 8;
    double own[8], sum[8];
    for (long l = 0; l < lanes; l++) own[l] = V[from + l], sum[l] = 0;
    for (long j = c->start[slice]; j < c->start[slice + 1]; j++) {
        const int *column = c->column + j * 8 + first;
        const float *K = c->K + j * 8 + first;
        for (long l = 0; l < lanes; l++) sum[l] += (double)K[l] * ((double)V[column[l]] - own[l]);
    }
    for (long l = 0; l < lanes; l++) increment[l] = (real)(-c->dt * sum[l] * c->inverse_mass[from + l]);
}

/* increment[i - begin] of the kernel's nodes [begin, end) */
static inline void up_coupling_block(const up_couplings *c, long begin, long end, const real *V, real *increment)
{
    V -= c->begin;
    for (long row = c->begin + begin, last = c->begin + end, next; row < last; row = next) {
        next = row / 8 * 8 + 8;
        if (row % 8 == 0 && next <= last) {
            up_couple_slice(c, row, row + 8, V, increment);
        } else {
            next = next < last ? next : last;
            up_couple_slice(c, row, next, V, increment);
        }
        increment += next - row;
    }
}
