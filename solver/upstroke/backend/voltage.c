/* An implicit step of V on cables and neurons by Hines' elimination, in C (after runtime.c, for its team of threads).
 * voltage.py explains the arrays. `real`, the type of V, is defined before it.
 *
 * Places of a tree run from the leaves to the root, level by level of the depth below its middle, so that what follows
 * each other belongs to different branches: one core has several chains of divisions under way. Trees of one shape lie
 * side by side in the lanes of a vector, and the same text takes them all. */
typedef struct {
    long n, lanes, adjacent;          /* places, trees side by side, whether their nodes are so, too */
    long shape, node;                 /* where its shape and its nodes begin */
} tree_pack;

typedef struct {
    const tree_pack *packs;
    long count, most;                 /* packs; the most (places + 1) x lanes of one of them */
    const int *parent;                /* by places of a shape: the parent's place; n for the root, an empty place */
    const int *node;                  /* [place x lanes + lane] */
    const double *diagonal;           /* (lane by lane, as all below) m + theta dt sum k */
    const double *coupling;           /* theta dt k of the branch to the parent */
    const double *own, *other;        /* dt k, or theta dt k at an end without membrane: of the place, of its parent */
    const double *slope, *current;    /* theta dt a / C_m, dt a / C_m */
    const long *first_parent;         /* by packs: where `parent` of its shape begins */
    real *V;                          /* mV, by nodes; the rest likewise */
    const real *Iion, *Istim, *G;     /* uA/cm^2, mS/cm^2 */
    double *work;                     /* 4 x most for each thread */
} voltage_args;

typedef double eight __attribute__((vector_size(64), may_alias));

/* Node by place and lane. Where the eight of a place lie side by side (``adjacent``), they are one vector in memory; else
 * they are read one by one, for gathers and scatters take longer (`volatile` keeps the compiler from them). */
#define EACH_PLACE(...) \
    if (lanes > 1 && pack->adjacent) \
        for (long i = 0; i < n * lanes; i += lanes) \
            for (long lane = 0; lane < lanes; lane++) { const long at = i + lane, k = node[i] + lane; __VA_ARGS__ } \
    else \
        for (long at = 0; at < n * lanes; at++) { const long k = *(const volatile int *)(node + at); __VA_ARGS__ }

/* Forward: what the branch to the parent carries, then the place is eliminated. Back: x = y + l x_parent. */
#define DEFINE_STEP(name, number) \
    static int name(const voltage_args *a, const tree_pack *pack, const int *parent, double *work) \
    { \
        enum { lanes = sizeof(number) / sizeof(double) }; \
        const long n = pack->n; \
        const int *restrict node = a->node + pack->node; \
        double *restrict V = work, *restrict D = V + a->most, *restrict B = D + a->most, *restrict L = B + a->most; \
        const double *restrict diagonal = a->diagonal + pack->shape, *restrict slope = a->slope + pack->shape; \
        const double *restrict current = a->current + pack->shape; \
        EACH_PLACE( \
            V[at] = (double)a->V[k]; \
            D[at] = diagonal[at] + slope[at] * (double)a->G[k]; \
            B[at] = current[at] * ((double)a->Istim[k] - (double)a->Iion[k]);) \
        for (long i = n * lanes; i < (n + 1) * lanes; i++) V[i] = D[i] = B[i] = 0; \
        const number *restrict coupling = (const number *)(a->coupling + pack->shape); \
        const number *restrict own = (const number *)(a->own + pack->shape); \
        const number *restrict other = (const number *)(a->other + pack->shape); \
        number *v = (number *)V, *d = (number *)D, *b = (number *)B, *l = (number *)L; \
        for (long i = 0; i < n; i++) { \
            const long p = parent[i]; \
            const number drop = v[p] - v[i], right = b[i] + own[i] * drop, inverse = 1.0 / d[i]; \
            const number factor = coupling[i] * inverse; \
            d[p] -= coupling[i] * coupling[i] * inverse; \
            b[p] += factor * right - other[i] * drop; \
            b[i] = right * inverse; \
            l[i] = factor; \
        } \
        b[n] = (number){0}; \
        for (long i = n - 1; i >= 0; i--) b[i] += l[i] * b[parent[i]]; \
        int broken = 0; \
        EACH_PLACE( \
            const real next = (real)(V[at] + B[at]); \
            a->V[k] = next; \
            broken |= !(next - next == 0);) \
        return broken; \
    }
DEFINE_STEP(step_of_one, double)
DEFINE_STEP(step_of_eight, eight)

typedef struct { const voltage_args *a; atomic_long next, status; } voltage_job;

static void voltage_task(int rank, int size, void *arg)
{
    voltage_job *job = arg;
    const voltage_args *a = job->a;
    double *work = a->work + 4 * a->most * rank;
    long k, status = 0;
    (void)size;
    while ((k = atomic_fetch_add(&job->next, 1)) < a->count) {
        const tree_pack *pack = a->packs + k;
        const int *parent = a->parent + a->first_parent[k];
        status |= pack->lanes == 8 ? step_of_eight(a, pack, parent, work) : step_of_one(a, pack, parent, work);
    }
    atomic_fetch_or(&job->status, status);
}

/* Status bits, as kernels over nodes have them. */
long step_voltage(team *t, const voltage_args *a, long nodes)
{
    voltage_job job = {a, 0, 0};
    const long worth = 1 + nodes / SHARE;
    team_run(t, voltage_task, &job, worth < a->count ? worth : a->count);
    return job.status;
}
