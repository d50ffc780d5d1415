/* The currents through synapses and electrodes of a neuron, added to those of the membrane, with their slopes. C and CUDA.
 * REAL, the type of V, is defined before it.
 *
 * Synapses of a kind at a node are one: their conductances follow the same linear equations. Each has a rise and a decay,
 * which events step up and which decay exactly. What acts in a step is the mean over it, also of events within it, so
 * that the charge of a conductance does not depend on where between two steps a spike arrives. */
typedef struct {
    double keep_rise, keep_decay;       /* what is left of 1 after a step */
    double mean_rise, mean_decay;       /* its mean over the step */
    double per_rise, per_decay;         /* 1/ms, one over the time constants */
    double rise;                        /* of an event's weight: 1, or 0 where there is decay alone */
    double reversal;                    /* mV */
    double block;                       /* Mg / 3.57 mM, 0 without block */
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
        double rise = a->state[2 * j], decay = a->state[2 * j + 1];
        double g = decay * s->mean_decay - rise * s->mean_rise;
        rise = rise > VANISHED ? rise * s->keep_rise : 0;
        decay = decay > VANISHED ? decay * s->keep_decay : 0;
        int e = a->next[j];
        for (; e < a->end[j] && a->step[e] <= now; e++) {
            const double left_rise = exp(-a->left[e] * s->per_rise), left_decay = exp(-a->left[e] * s->per_decay);
            const double weight = a->weight[e], w_rise = weight * s->rise;
            g += (weight * (1 - left_decay) / s->per_decay - w_rise * (1 - left_rise) / s->per_rise) / a->step_dt;
            rise += w_rise * left_rise;
            decay += weight * left_decay;
        }
        a->next[j] = e;
        a->state[2 * j] = rise;
        a->state[2 * j + 1] = decay;
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
extern "C" __global__ void __launch_bounds__(128) upstroke_conduct(conductance_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && i < n)
        conduct(&a, i, clock->step);
}
#else
long upstroke_conduct(long begin, long end, const conductance_args *a)
{
    for (long i = begin; i < end; i++)
        conduct(a, i, (long)(a->t / a->step_dt + 0.5));
    return 0;
}
#endif
