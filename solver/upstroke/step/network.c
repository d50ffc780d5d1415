/* Spikes of cells and where they go, one call per time step. C and CUDA; stands behind conductances.c.
 *
 * A detector is a place with a threshold. When V crosses it upwards, the time is noted to a part of a step, and the spike
 * stays under way until the last of its connections, which lie by ascending delay, has been served: so a step costs what
 * arrives in it, not how many connections there are. Arrivals are summed up as whole numbers: the order does not matter. On
 * a device a warp serves a detector, here one thread. */
typedef struct {
    const REAL *V;                      /* mV, by nodes */
    const int *node;                    /* (detectors) */
    const double *threshold;            /* (detectors) mV */
    double *before;                     /* (detectors) mV, after the last step */
    const long long *ring;              /* (detectors + 1) where the spikes of each under way are kept, in turn */
    double *left;                       /* (spikes) when it left, in steps */
    long long *next;                    /* (spikes) its first connection that has not been served */
    long long *sent, *done;             /* (detectors) spikes so far, those that have arrived everywhere */
    const long long *first;             /* (detectors + 1) the first connection of each */
    const int *synapse;                 /* (connections) */
    const double *delay;                /* (connections) steps */
    const double *weight;               /* (connections) quanta */
    const synapse_kind *kinds;
    const int *kind;                    /* (synapses) */
    long long *arrived;                 /* (synapses, 3) of conductances.c, in the next step */
    double t, step_dt;                  /* ms, the start of the step (C only), its length */
} network_args;

#define EDGE 1e-9       /* parts of a step: what is nearer to a step's end than this is in the next one */

#ifdef __CUDACC__
#define BROKEN 9        /* bits of a clock's status: this step has just broken, and is not looked at */
#define LANES 32
#define TOGETHER __syncwarp()
#define ADD(sum, quanta) atomicAdd((unsigned long long *)(sum), (unsigned long long)(quanta))
#else
#define LANES 1
#define TOGETHER
#define ADD(sum, quanta) __atomic_fetch_add(sum, quanta, __ATOMIC_RELAXED)
#endif

/* What arrives `rest` steps before the end of the next one. */
INLINE void serve(const network_args *a, long long connection, double rest)
{
    const int synapse = a->synapse[connection];
    const synapse_kind *s = a->kinds + a->kind[synapse];
    const double weight = a->weight[connection], time = a->step_dt * fmin(fmax(rest, 0.0), 1.0);
    long long *sum = a->arrived + 3 * (long)synapse;
    ADD(sum, (long long)(weight + 0.5));
    ADD(sum + 1, (long long)(weight * s->rise * exp(-time * s->per_rise) + 0.5));
    ADD(sum + 2, (long long)(weight * exp(-time * s->per_decay) + 0.5));
}

INLINE void detect(const network_args *a, long d, int lane, long now)
{
    const double V = a->V[a->node[d]], before = a->before[d], threshold = a->threshold[d];
    const long long begin = a->ring[d], size = a->ring[d + 1] - begin, end = a->first[d + 1];
    const int crossed = before < threshold && V >= threshold;
    const long long sent = a->sent[d] + crossed;
    long long done = a->done[d];
    TOGETHER;
    if (lane == 0) {
        a->before[d] = V;
        if (crossed) {
            const long long place = begin + (sent - 1) % size;
            a->left[place] = now + (threshold - before) / (V - before);
            a->next[place] = a->first[d];
            a->sent[d] = sent;
        }
    }
    TOGETHER;
    const double after = now + 2 - EDGE;        /* the end of the next step */
    for (long long spike = done; spike < sent; spike++) {
        const long long place = begin + spike % size, from = a->next[place];
        const double left = a->left[place];
        if (from == end || left + a->delay[from] >= after)
            continue;                   /* nothing arrives */
        long long to = from + 1, high = end;
        while (to < high) {             /* the first that arrives later */
            const long long middle = (to + high) / 2;
            if (left + a->delay[middle] < after)
                to = middle + 1;
            else
                high = middle;
        }
        for (long long k = from + lane; k < to; k += LANES)
            serve(a, k, now + 2 - (left + a->delay[k]));
        TOGETHER;
        if (lane == 0)
            a->next[place] = to;
        if (to == end)
            done = spike + 1;           /* those before it left earlier, so they have arrived, too */
    }
    if (lane == 0)
        a->done[d] = done;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_detect(network_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && !(clock->status & BROKEN) && i < n)
        detect(&a, i / LANES, (int)(i % LANES), clock->step);
}
#else
long upstroke_detect(long begin, long end, const network_args *a)
{
    const long now = (long)(a->t / a->step_dt + 0.5);
    for (long d = begin; d < end; d++)
        detect(a, d, 0, now);
    return 0;
}
#endif
