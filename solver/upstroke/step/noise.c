/* Ornstein-Uhlenbeck noise, as currents or conductances, added to those of the membrane. C and CUDA.
 * REAL, the type of V, is defined before it.
 *
 * Random numbers are Philox4x32-10 (Salmon et al. 2011, doi 10.1145/2063384.2063405): the key is the seed and the number
 * of the process, the counter the step, so they depend on nothing else. All devices get the same bits: what is summed is
 * summed by fma() alone, so that no compiler has anything to contract, and there is no division. */
typedef struct {
    double keep, kick;                  /* y after a step: keep y + kick N1, of variance 1 */
    double hold, along, aside;          /* its mean over the step: hold y + along N1 + aside N2 */
    double reversal;                    /* mV, of a conductance */
    int conducts;                       /* a conductance, or a current */
    unsigned seed;
} noise_kind;

typedef struct {
    const REAL *V;                      /* mV, by nodes; the next two likewise, uA/cm^2 and mS/cm^2 */
    REAL *Iion, *G;
    REAL *Inoise;                       /* out, uA/cm^2, inward */
    const int *node;                    /* (places) */
    const int *first;                   /* (places + 1) the first process of each */
    const noise_kind *kinds;
    const int *kind;                    /* (processes) */
    const unsigned *number;             /* (processes) */
    const double *mean, *sigma;         /* (processes) uA/cm^2 or mS/cm^2 */
    double *state;                      /* (processes) y, at the start of the step */
    double t, step_dt;                  /* ms, the start of the step (C only), its length */
} noise_args;

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
#else
#include <math.h>
#define INLINE static inline
#endif

INLINE void philox_round(unsigned *c, unsigned key0, unsigned key1)
{
    const unsigned long long a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    const unsigned c1 = c[1], c3 = c[3];
    c[0] = (unsigned)(b >> 32) ^ c1 ^ key0;
    c[1] = (unsigned)b;
    c[2] = (unsigned)(a >> 32) ^ c3 ^ key1;
    c[3] = (unsigned)a;
}

INLINE void philox(unsigned *c, unsigned key0, unsigned key1)
{
    for (int i = 0; i < 10; i++) {
        philox_round(c, key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* -log(m 2^-53), 1 <= m <= 2^53: m 2^-53 = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and a polynomial (1e-14). */
INLINE double minus_log(unsigned long long m)
{
    union { double x; unsigned long long b; } u;
    u.x = (double)m;
    int e = (int)(u.b >> 52) - 1023 - 53;
    u.b = (u.b & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    if (u.x > 1.4142135623730951) {
        u.b -= 0x10000000000000ull;
        e++;
    }
    const double f = u.x - 1.0;
    double p = 0.03550254758283197;
    p = fma(p, f, -0.07434589417676706);
    p = fma(p, f, 0.07808646040629888);
    p = fma(p, f, -0.07175470502187192);
    p = fma(p, f, 0.07525682167083697);
    p = fma(p, f, -0.08308740850178235);
    p = fma(p, f, 0.09102677715522986);
    p = fma(p, f, -0.10002399101572985);
    p = fma(p, f, 0.11110667406863045);
    p = fma(p, f, -0.12499895335766538);
    p = fma(p, f, 0.1428572315900682);
    p = fma(p, f, -0.16666668870062862);
    p = fma(p, f, 0.1999999991352277);
    p = fma(p, f, -0.24999999980097684);
    p = fma(p, f, 0.3333333333366278);
    p = fma(p, f, -0.5000000000005124);
    p = fma(p, f, 0.9999999999999978);
    return -fma((double)e, 0.6931471805599453, f * p);
}

/* Two independent normal numbers, of mean 0 and variance 1 (Box and Muller 1958, doi 10.1214/aoms/1177706645). */
INLINE void normal_pair(unsigned seed, unsigned number, long step, unsigned stream, double *one, double *other)
{
    unsigned c[4] = {(unsigned)step, (unsigned)((unsigned long long)step >> 32), stream, 0};
    philox(c, seed, number);
    const unsigned long long radius = ((unsigned long long)c[0] << 32 | c[1]) >> 11;       /* 53 bits */
    const unsigned long long angle = ((unsigned long long)c[2] << 32 | c[3]) >> 11;        /* 2 of a quarter, 51 in it */
    const double R = sqrt(2.0 * minus_log(radius + 1));
    const double x = fma((double)(angle & 0x7ffffffffffffull), 4.440892098500626e-16, -0.5), z = x * x;
    double s = 5.633881946344567e-08, k = 4.655297902870294e-07;        /* sine and cosine of x quarters of a turn */
    s = fma(s, z, -3.5986429490529506e-06);
    s = fma(s, z, 0.00016044115062099112);
    s = fma(s, z, -0.004681754132323519);
    s = fma(s, z, 0.07969262624604179);
    s = fma(s, z, -0.6459640975062443);
    s = fma(s, z, 1.5707963267948966);
    k = fma(k, z, -2.520013539051986e-05);
    k = fma(k, z, 0.0009192599500764488);
    k = fma(k, z, -0.020863480734950965);
    k = fma(k, z, 0.253669507899865);
    k = fma(k, z, -1.2337005501361513);
    k = fma(k, z, 1.0);
    const double a = R * (s * x), b = R * k;
    const int quarter = (int)(angle >> 51);
    const double p = quarter & 1 ? a : b, q = quarter & 1 ? b : a;
    *one = quarter & 2 ? -p : p;
    *other = quarter & 2 ? -q : q;
}

/* The mean over step ``now`` of a process with mean 0 and variance 1, which goes on to the end of the step. */
INLINE double wander(const noise_kind *k, unsigned number, double *state, long now)
{
    double y = *state, one, other;
    if (now == 0)
        normal_pair(k->seed, number, 0, 1, &y, &other);                 /* the start: as it is at any time */
    normal_pair(k->seed, number, now, 0, &one, &other);
    *state = fma(k->keep, y, k->kick * one);
    return fma(k->hold, y, fma(k->along, one, k->aside * other));
}

INLINE void disturb(const noise_args *a, long i, long now)
{
    const int node = a->node[i];
    const double V = a->V[node];
    double current = 0, slope = 0;
    for (int j = a->first[i]; j < a->first[i + 1]; j++) {
        const noise_kind *k = a->kinds + a->kind[j];
        const double x = fma(a->sigma[j], wander(k, a->number[j], a->state + j, now), a->mean[j]);
        const double g = k->conducts ? fmax(x, 0.0) : 0.0;              /* mS/cm^2 */
        current += k->conducts ? -g * (V - k->reversal) : x;
        slope += g;
    }
    a->Inoise[node] = (REAL)current;
    a->Iion[node] -= (REAL)current;
    a->G[node] += (REAL)slope;
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(128) upstroke_disturb(noise_args a, long n, upstroke_clock *clock)
{
    const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (!clock->halted && i < n)
        disturb(&a, i, clock->step);
}
#else
long upstroke_disturb(long begin, long end, const noise_args *a)
{
    const long now = (long)(a->t / a->step_dt + 0.5);
    for (long i = begin; i < end; i++)
        disturb(a, i, now);
    return 0;
}
#endif
