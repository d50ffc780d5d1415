/* The currents through synapses and electrodes of a neuron, added to those of the membrane, with their slopes. C and CUDA.
 * REAL, the type of V, is defined before it.
 *
 * Synapses of a kind at a node are one: their conductances follow the same linear equations. Each has a rise and a decay,
 * which events step up and which decay exactly. What acts in a step is the mean over it, also of events within it, so
 * that the charge of a conductance does not depend on where between two steps a spike arrives. Events that are known
 * before the run are listed; spikes of cells are summed up by network.c, which goes behind this text. */
typedef struct {
    double keep_rise, keep_decay;       /* what is left of 1 after a step */
    double mean_rise, mean_decay;       /* its mean over the step */
    double per_rise, per_decay;         /* 1/ms, one over the time constants */
    double steps_rise, steps_decay;     /* the time constants in steps */
    double rise;                        /* of an event's weight: 1, or 0 where there is decay alone */
    double reversal;                    /* mV */
    double block;                       /* Mg / 3.57 mM, 0 without block */
    double quantum;                     /* mS, the unit of what spikes of cells bring */
} synapse_kind;

typedef struct {
    const REAL *V;                      /* mV, by nodes; the next two likewise, uA/cm^2 and mS/cm^2 */
    REAL *Iion, *G;
    REAL *Isyn, *Iclamp;                /* out, uA/cm^2: outward through synapses, inward from electrodes */
    const int *node;                    /* (places) */
    const double *density;              /* (places) 1/cm^2: one over the area */
    const int *first;                   /* (places + 1) the first synapse of each */
    const synapse_kind *kinds;
    const int *kind;                    /* (synapses) */
    double *state;                      /* (synapses, 2) mS: rise and decay, at the start of the step */
    int *next;                          /* (synapses) the next event */
    const int *end;                     /* (synapses) one past its last event */
    const int *step;                    /* (events) in which an event arrives */
    const double *left;                 /* (events) ms from there to the end of that step */
    const double *weight;               /* (events) mS */
    long long *arrived;                 /* (synapses, 3) quanta from cells in this step: weights, what is left of their
                                         * rise and of their decay at its end; sums of whole numbers have no order */
    const REAL *held, *drive, *slope;   /* (places) electrodes: mS/cm^2; times their level, uA/cm^2; mS/cm^2 */
    double t, step_dt;                  /* ms, the start of the step (C only), its length */
} conductance_args;

#define VANISHED 1e-60                  /* mS; numbers that decay for ever become slow */

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#else
#include <math.h>
#define INLINE static inline
#endif

INLINE void conduct(const conductance_args *a, long i, long now)
{
    const int k = a->node[i];
    const double V = a->V[k];
    double current = 0, slope = 0;
    for (int j = a->first[i]; j < a->first[i + 1]; j++) {
        const synapse_kind *s = a->kinds + a->kind[j];
        double came = 0, left_rise = 0, left_decay = 0;     /* in this step, and what is left of it at its end */
        int e = a->next[j];
        for (; e < a->end[j] && a->step[e] <= now; e++) {
            const double weight = a->weight[e];
            came += weight;
            left_rise += weight * s->rise * exp(-a->left[e] * s->per_rise);
            left_decay += weight * exp(-a->left[e] * s->per_decay);
        }
        a->next[j] = e;
        long long *arrived = a->arrived + 3 * (long)j;
        if (arrived[0]) {
            came += s->quantum * (double)arrived[0];
            left_rise += s->quantum * (double)arrived[1];
            left_decay += s->quantum * (double)arrived[2];
            arrived[0] = arrived[1] = arrived[2] = 0;
        }
        const double rise = a->state[2 * j], decay = a->state[2 * j + 1];
        const double g = decay * s->mean_decay - rise * s->mean_rise
            + (came - left_decay) * s->steps_decay - (came * s->rise - left_rise) * s->steps_rise;
        a->state[2 * j] = left_rise + (rise > VANISHED ? rise * s->keep_rise : 0);
        a->state[2 * j + 1] = left_decay + (decay > VANISHED ? decay * s->keep_decay : 0);
        /* B = 1 / (1 + block exp(-0.062 V)), and the slope of B (V - reversal) */
        const double blocked = s->block > 0 ? s->block * exp(-0.062 * V) : 0, B = 1 / (1 + blocked);
        const double drive = V - s->reversal;
        current += g * B * drive;
        slope += g * B * (1 + 0.062 * blocked * B * drive);
    }
    const double Isyn = current * a->density[i], Iclamp = (double)a->drive[i] - (double)a->held[i] * V;
    a->Isyn[k] = (REAL)Isyn;
    a->Iclamp[k] = (REAL)Iclamp;
    a->Iion[k] += (REAL)(Isyn - Iclamp);
    a->G[k] += (REAL)(slope * a->density[i] + (double)a->slope[i]);
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128, 4) upstroke_conduct(conductance_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && i < n)
        conduct(&a, i, clock->step);
}
#else
long upstroke_conduct(long begin, long end, const conductance_args *a)
{
    const long now = (long)(a->t / a->step_dt + 0.5);
    for (long i = begin; i < end; i++)
        conduct(a, i, now);
    return 0;
}
#endif
