/* Currents through gap junctions, added to those of the membrane, with their slopes. C and CUDA. REAL, the type of V, is
 * defined before it. gaps.py explains the scheme. Each compartment sums over its junctions, in a fixed order. */
typedef struct {
    const REAL *V;                      /* mV, by nodes; the next two likewise, uA/cm^2 and mS/cm^2 */
    REAL *Iion, *G;
    REAL *Igap;                         /* out, uA/cm^2, outward */
    const int *node;                    /* (places) */
    const int *first;                   /* (places + 1) the first junction of each */
    const int *other;                   /* (junctions, from either side) the place on the other side */
    const double *conductance;          /* likewise, mS per cm^2 of this place */
    double *before, *change;            /* (places) mV: V at the start of the step, what the last solve made of it */
    double theta;
    double t, step_dt;                  /* ms, the start of the step (C only), its length */
} gap_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#define BROKEN 9          /* bits of a clock's status: this step has just broken */
#else
#define INLINE static inline
#endif

INLINE void join(const gap_args *a, long i)
{
    const int node = a->node[i];
    const double V = a->V[node], change = a->change[i];
    double current = 0, ahead = 0, slope = 0;
    for (int j = a->first[i]; j < a->first[i + 1]; j++) {
        const int other = a->other[j];
        const double g = a->conductance[j];
        current += g * (V - a->V[a->node[other]]);
        ahead += g * (change + a->change[other]);
        slope += g;
    }
    a->before[i] = V;
    a->Igap[node] = (REAL)current;
    a->Iion[node] += (REAL)(current - a->theta * ahead);
    a->G[node] += (REAL)(2 * slope);
}

INLINE void remember(const gap_args *a, long i)
{
    a->change[i] = (double)a->V[a->node[i]] - a->before[i];
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_join(gap_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && i < n)
        join(&a, i);
}

extern "C" __global__ void __launch_bounds__(128) upstroke_remember(gap_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && !(clock->status & BROKEN) && i < n)
        remember(&a, i);
}
#else
long upstroke_join(long begin, long end, const gap_args *a)
{
    for (long i = begin; i < end; i++)
        join(a, i);
    return 0;
}

long upstroke_remember(long begin, long end, const gap_args *a)
{
    for (long i = begin; i < end; i++)
        remember(a, i);
    return 0;
}
#endif
