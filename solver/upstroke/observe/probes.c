/* Samples of variables at a few places, into a ring of rows, every so many steps. C and CUDA.
 *
 * A value of a sample is the sum of its terms: weight times array[node]. */
typedef struct {
    const void *const *array;     /* (terms) where the variable of a term lies */
    const int *single;            /* (terms) 1: that array is float, 0: double */
    const long *node;             /* (terms) */
    const double *weight;         /* (terms) */
    const long *first;            /* (values + 1) the first term of each value */
    double *ring;                 /* [row][value]; sample j, after step j every, is in row j % rows */
    long values, rows, every;
    double t, step_dt;            /* ms, the start of the step (C only), its length */
} probe_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#define BROKEN 9          /* bits of a clock's status: this step has just broken, and is not looked at */
#else
#define INLINE static inline
#endif

INLINE void sample(const probe_args *a, long value, long steps_done)
{
    double sum = 0;
    if (steps_done % a->every)
        return;
    for (long k = a->first[value]; k < a->first[value + 1]; k++)
        sum += a->weight[k] * (a->single[k] ? ((const float *)a->array[k])[a->node[k]]
                                            : ((const double *)a->array[k])[a->node[k]]);
    a->ring[steps_done / a->every % a->rows * a->values + value] = sum;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_sample(probe_args a, long n, upstroke_clock *clock)
{
    const long value = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && !(clock->status & BROKEN) && value < n)
        sample(&a, value, clock->step + 1);
}
#else
long upstroke_sample(long begin, long end, const probe_args *a)
{
    for (long value = begin; value < end; value++)
        sample(a, value, (long)(a->t / a->step_dt + 0.5) + 1);
    return 0;
}
#endif
