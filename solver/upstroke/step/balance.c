/* V where branches meet: without membrane and without current, the mean of the neighbours by their couplings. C and CUDA.
 * REAL, the type of V, is defined before it. */
typedef struct {
    REAL *V;                      /* mV, by nodes */
    const int *node;              /* (meeting points) */
    const int *first;             /* (meeting points + 1) the first neighbour of each */
    const int *other;             /* (neighbours) none of which is a meeting point */
    const double *weight;         /* (neighbours) those of a point sum to 1 */
    double t, step_dt;            /* ms, not needed */
} balance_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#define BROKEN 9          /* bits of a clock's status: this step has just broken, and is left as it is */
#else
#define INLINE static inline
#endif

INLINE void meet(const balance_args *a, long i)
{
    double V = 0;
    for (int k = a->first[i]; k < a->first[i + 1]; k++) V += a->weight[k] * a->V[a->other[k]];
    a->V[a->node[i]] = (REAL)V;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_balance(balance_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && !(clock->status & BROKEN) && i < n) meet(&a, i);
}
#else
long upstroke_balance(long begin, long end, const balance_args *a)
{
    for (long i = begin; i < end; i++) meet(a, i);
    return 0;
}
#endif
