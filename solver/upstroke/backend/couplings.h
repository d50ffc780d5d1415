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

static inline real up_coupling(const up_couplings *c, long i, const real *V)
{
    const long row = c->begin + i, lane = row % 8;
    const double own = V[i];
    double sum = 0;
    V -= c->begin;
    for (long k = c->start[row / 8] * 8 + lane; k < c->start[row / 8 + 1] * 8; k += 8)
        sum += (double)c->K[k] * ((double)V[c->column[k]] - own);
    return (real)(-c->dt * sum * c->inverse_mass[row]);
}
