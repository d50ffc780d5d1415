/* Weighted sums of V over all nodes, by chunks of nodes, every so many steps. C and CUDA. REAL, the type of V, is
 * defined before this text. A chunk belongs to LANES lanes, of which the first does everything in C. The sum of a chunk
 * does not depend on how many threads there are. */
#define LANES 128
#define CHUNK 4096            /* nodes */

typedef struct {
    const REAL *V;            /* mV, by nodes */
    const double *weight;     /* [row][node] */
    double *sums;             /* [row][chunk] */
    long nodes, rows, chunks, every;
    double t, step_dt;        /* ms, the start of the step (C only), its length */
} electrogram_args;

#ifdef __CUDACC__
#define BROKEN 9          /* bits of a clock's status: this step has just broken, and is not looked at */

extern "C" __global__ void __launch_bounds__(LANES) upstroke_weigh(electrogram_args a, long n, upstroke_clock *clock)
{
    __shared__ double parts[LANES / 32];      /* of the warps */
    if (clock->halted || clock->status & BROKEN || (clock->step + 1) % a.every)
        return;
    const long chunk = blockIdx.x, first = chunk * CHUNK;
    const long last = first + CHUNK < a.nodes ? first + CHUNK : a.nodes;
    for (long row = 0; row < a.rows; row++) {
        double sum = 0;
        for (long i = first + threadIdx.x; i < last; i += LANES)
            sum += a.weight[row * a.nodes + i] * a.V[i];
        for (int apart = 16; apart > 0; apart /= 2)
            sum += __shfl_down_sync(0xffffffffu, sum, apart);
        if (threadIdx.x % 32 == 0)
            parts[threadIdx.x / 32] = sum;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int warp = 1; warp < LANES / 32; warp++)
                sum += parts[warp];
            a.sums[row * a.chunks + chunk] = sum;
        }
        __syncthreads();
    }
}
#else
long upstroke_weigh(long begin, long end, const electrogram_args *a)
{
    if (((long)(a->t / a->step_dt + 0.5) + 1) % a->every)
        return 0;
    for (long chunk = (begin + LANES - 1) / LANES; chunk * LANES < end; chunk++) {
        const long first = chunk * CHUNK, last = first + CHUNK < a->nodes ? first + CHUNK : a->nodes;
        for (long row = 0; row < a->rows; row++) {
            double sum = 0;
            for (long i = first; i < last; i++)
                sum += a->weight[row * a->nodes + i] * a->V[i];
            a->sums[row * a->chunks + chunk] = sum;
        }
    }
    return 0;
}
#endif
