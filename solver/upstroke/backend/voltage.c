/* An implicit step of V on cables and neurons by Hines' elimination, in C (after runtime.c, for its team of threads).
 * hines.py makes the arrays, voltage.py has the equations. `real`, the type of V, is defined before it.
 *
 * Places of a tree run from the leaves to the root, level by level of the depth below its middle, so that what follows
 * each other belongs to different branches: one core has several chains of divisions under way. Trees of one shape lie
 * side by side in the lanes of a vector, and the same text takes them all. A tree without company lends the lanes to
 * its own chains: long unbranched parts, each cut into eight pieces. */
typedef struct {
    long n, lanes;                    /* places; trees, or pieces of a chain, side by side */
    long node, adjacent;              /* where its nodes begin; whether those of a place are side by side, too */
    long shared;                      /* whether all lanes have the same coefficients */
    long link, shape;                 /* where its parents (of a chain: its ends) and its coefficients begin */
    long chain, chains;               /* its first chain, and how many there are */
} tree_pack;

typedef struct {
    const tree_pack *packs, *chains;
    long count, most;                 /* packs; the most numbers that one of them works with, by arrays */
    const int *parent;                /* by places: the parent's place; n for the root, an empty place */
    const int *ends;                  /* of a chain: the nine places of its tree before, between and behind the pieces */
    const int *node;                  /* [place x lanes + lane] */
    const double *diagonal;           /* [place x lanes + lane], or [place] where shared, as all below: m + theta dt sum k */
    double *coupling;                 /* theta dt k of the branch to the parent; between ends, what is left of a piece */
    const double *own, *other;        /* dt k, or theta dt k at an end without membrane: of the place, of its parent */
    const double *slope, *current;    /* theta dt s / C_m, dt s / C_m, s the area */
    real *V;                          /* mV, by nodes; the rest likewise */
    const real *Iion, *Istim, *G;     /* uA/cm^2, mS/cm^2 */
    double *work;                     /* 4 x most for each thread */
} voltage_args;

typedef double eight __attribute__((vector_size(64), may_alias));
typedef real eight_reals __attribute__((vector_size(8 * sizeof(real)), aligned(sizeof(real)), may_alias));
#define ALWAYS static inline __attribute__((always_inline))

/* What nodes have, at a place of a tree alone, and at one of trees side by side. Where the nodes of a place are so, too
 * (``adjacent``), they are one vector in memory; else they are taken one by one, for gathers and scatters take longer
 * (`volatile` keeps the compiler from them). */
ALWAYS double read_one(const real *x, const int *node, int adjacent) { (void)adjacent; return (double)x[*node]; }

ALWAYS eight read_eight(const real *x, const int *node, int adjacent)
{
    if (adjacent) return __builtin_convertvector(*(const eight_reals *)(x + *node), eight);
    eight all;
    for (int lane = 0; lane < 8; lane++) all[lane] = (double)x[*(const volatile int *)(node + lane)];
    return all;
}

/* x = v + more; 0, or NaN where that is no finite number. */
ALWAYS double add_one(real *x, const int *node, double v, double more, int adjacent)
{
    const real next = (real)(v + more);
    (void)adjacent;
    x[*node] = next;
    return next - next;
}

ALWAYS eight add_eight(real *x, const int *node, eight v, eight more, int adjacent)
{
    const eight_reals next = __builtin_convertvector(v + more, eight_reals);
    if (adjacent) *(eight_reals *)(x + *node) = next;
    else for (int lane = 0; lane < 8; lane++) x[*(const volatile int *)(node + lane)] = next[lane];
    return __builtin_convertvector(next - next, eight);
}

ALWAYS double sum_one(double x) { return x; }
ALWAYS double sum_eight(eight x) { return x[0] + x[1] + x[2] + x[3] + x[4] + x[5] + x[6] + x[7]; }

/* The pieces of a chain, each from the end before it to the end behind. What binds a place to the end before is passed on
 * (`fill`), and after the last place it binds the two ends. */
static void chain_forward(const voltage_args *a, const tree_pack *pack, const double *V, double *D, double *B,
                          double *tree_coupling, double *work)
{
    const long n = pack->n;
    const int *end = a->ends + pack->link, *node = a->node + pack->node, adjacent = pack->adjacent != 0;
    const eight *diagonal = (const eight *)(a->diagonal + pack->shape), *slope = (const eight *)(a->slope + pack->shape);
    const eight *current = (const eight *)(a->current + pack->shape), *own = (const eight *)(a->own + pack->shape);
    const eight *other = (const eight *)(a->other + pack->shape), *couple = (const eight *)(a->coupling + pack->shape);
    eight *y = (eight *)work, *to_before = (eight *)(work + a->most), *to_next = (eight *)(work + 2 * a->most);
    eight v, next = read_eight(a->V, node, adjacent), behind;
    for (int lane = 0; lane < 8; lane++) v[lane] = V[end[lane]], behind[lane] = V[end[lane + 1]];
    eight drop = next - v, fill = couple[0], before_d = {0}, before_b = own[0] * drop, d = {0}, b = -other[0] * drop;
    for (long i = 0; i < n; i++, node += 8) {
        v = next;
        next = i + 1 < n ? read_eight(a->V, node + 8, adjacent) : behind;
        drop = next - v;
        const eight I = read_eight(a->Istim, node, adjacent) - read_eight(a->Iion, node, adjacent);
        const eight right = current[i] * I + own[i + 1] * drop + b;
        const eight inverse = 1.0 / (diagonal[i] + slope[i] * read_eight(a->G, node, adjacent) + d);
        const eight before = fill * inverse, ahead = couple[i + 1] * inverse;
        before_d -= fill * before;
        before_b += before * right;
        d = -couple[i + 1] * ahead;
        b = ahead * right - other[i + 1] * drop;
        fill *= ahead;
        y[i] = right * inverse;
        to_before[i] = before;
        to_next[i] = ahead;
    }
    for (int lane = 0; lane < 8; lane++) {
        const int p = end[lane], q = end[lane + 1];
        D[p] += before_d[lane], B[p] += before_b[lane];
        D[q] += d[lane], B[q] += b[lane];
        tree_coupling[p < q ? p : q] = fill[lane];
    }
}

/* x = y + (to the next) x_next + (to the end before) x_before; 0 or NaN. */
static double chain_back(const voltage_args *a, const tree_pack *pack, const double *X, const double *work)
{
    const int *end = a->ends + pack->link, adjacent = pack->adjacent != 0;
    const eight *y = (const eight *)work, *to_before = (const eight *)(work + a->most);
    const eight *to_next = (const eight *)(work + 2 * a->most);
    eight before, x, odd = {0};
    for (int lane = 0; lane < 8; lane++) before[lane] = X[end[lane]], x[lane] = X[end[lane + 1]];
    for (long i = pack->n - 1; i >= 0; i--) {
        const int *node = a->node + pack->node + 8 * i;
        x = y[i] + to_before[i] * before + to_next[i] * x;
        odd += add_eight(a->V, node, read_eight(a->V, node, adjacent), x, adjacent);
    }
    return sum_eight(odd);
}

/* Ask for what a place of the next trees needs, while these are computed: it would come late from a distant cache. */
ALWAYS void ask_for(const voltage_args *a, long node)
{
    __builtin_prefetch(a->V + node, 0, 2);
    __builtin_prefetch(a->Iion + node, 0, 2);
    __builtin_prefetch(a->Istim + node, 0, 2);
    __builtin_prefetch(a->G + node, 0, 2);
}

/* Forward: what the branch to the parent carries, then the place is eliminated. Back: x = y + l x_parent. */
#define DEFINE_STEP(name, number, coefficient, kind) \
    static int name(const voltage_args *a, const tree_pack *pack, double *work) \
    { \
        enum { lanes = sizeof(number) / sizeof(double) }; \
        const long n = pack->n; \
        const int *parent = a->parent + pack->link, *node = a->node + pack->node, adjacent = pack->adjacent != 0; \
        const coefficient *diagonal = (const coefficient *)(a->diagonal + pack->shape); \
        const coefficient *slope = (const coefficient *)(a->slope + pack->shape); \
        const coefficient *current = (const coefficient *)(a->current + pack->shape); \
        const coefficient *coupling = (const coefficient *)(a->coupling + pack->shape); \
        const coefficient *own = (const coefficient *)(a->own + pack->shape); \
        const coefficient *other = (const coefficient *)(a->other + pack->shape); \
        double *V = work, *D = V + a->most, *B = D + a->most, *L = B + a->most, *after = V + (n + 8) / 8 * 8; \
        number *v = (number *)V, *d = (number *)D, *b = (number *)B, *l = (number *)L, odd = {0}; \
        for (long i = 0; i < n; i++) { \
            const int *at = node + i * lanes; \
            v[i] = read_##kind(a->V, at, adjacent); \
            d[i] = diagonal[i] + slope[i] * read_##kind(a->G, at, adjacent); \
            b[i] = current[i] * (read_##kind(a->Istim, at, adjacent) - read_##kind(a->Iion, at, adjacent)); \
        } \
        v[n] = d[n] = b[n] = (number){0}; \
        for (long c = 0, at = 0; c < pack->chains; at += 8 * a->chains[pack->chain + c++].n) \
            chain_forward(a, a->chains + pack->chain + c, V, D, B, a->coupling + pack->shape, after + at); \
        const tree_pack *next = pack + (pack + 1 < a->packs + a->count); \
        const int *following = a->node + (next->n >= n && next->lanes == lanes ? next : pack)->node; \
        for (long i = 0; i < n; i++) { \
            if (lanes > 1) ask_for(a, following[i * lanes]); \
            const long p = parent[i]; \
            const coefficient couple = coupling[i]; \
            const number drop = v[p] - v[i], right = b[i] + own[i] * drop, inverse = 1.0 / d[i]; \
            const number factor = couple * inverse; \
            d[p] -= couple * factor; \
            b[p] += factor * right - other[i] * drop; \
            b[i] = right * inverse; \
            l[i] = factor; \
        } \
        b[n] = (number){0}; \
        for (long i = n - 1; i >= 0; i--) { \
            b[i] += l[i] * b[parent[i]]; \
            odd += add_##kind(a->V, node + i * lanes, v[i], b[i], adjacent); \
        } \
        double broken = sum_##kind(odd); \
        for (long c = 0, at = 0; c < pack->chains; at += 8 * a->chains[pack->chain + c++].n) \
            broken += chain_back(a, a->chains + pack->chain + c, B, after + at); \
        return !(broken == 0); \
    }
DEFINE_STEP(step_of_one, double, double, one)
DEFINE_STEP(step_of_eight, eight, eight, eight)
DEFINE_STEP(step_of_alike, eight, double, eight)

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
        status |= pack->lanes < 8 ? step_of_one(a, pack, work) :
                  pack->shared ? step_of_alike(a, pack, work) : step_of_eight(a, pack, work);
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
