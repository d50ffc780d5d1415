/* One step of A delta = -dt K V, V += delta by the direct solver of tree.py, which explains the arrays. This text is C
 * (after runtime.c, for its team of threads) and CUDA. `real`, the type of V, is defined before it. */
typedef struct {
    const int *node;                          /* (n) the node at each place */
    const int *level_start, *group_level;     /* (levels + 1) first places; (groups + 1) first levels */
    const int *parent;                        /* (n, 2) places, -1 for none */
    const double *factor;                     /* (n, 2) */
    const double *inverse_pivot;              /* (n) */
    const int *child_start, *child;           /* (n + 1); (edges) 2 c + k: the place is parent k of place c */
    const int *row_start, *column;            /* (n + 1) places; nodes */
    const double *K;                          /* couplings of the stiffness, like column */
    double *x;                                /* (n) work: y, then the increment, by places */
    real *V;                                  /* (n) mV, by nodes */
    double dt;                                /* ms */
    long groups;
} tree_args;

#ifdef __CUDACC__
#define TREE_INLINE static __device__ __forceinline__
#else
#define TREE_INLINE static inline
#endif

/* y_i = -dt (K V)_i - sum over children c of l_ci y_c; K is applied to differences, so uniform fields stay uniform. */
TREE_INLINE void tree_forward(const tree_args *a, int i)
{
    const double own = a->V[a->node[i]];
    double flux = 0;
    for (int j = a->row_start[i]; j < a->row_start[i + 1]; j++) flux += a->K[j] * ((double)a->V[a->column[j]] - own);
    double y = -a->dt * flux;
    for (int j = a->child_start[i]; j < a->child_start[i + 1]; j++) y -= a->factor[a->child[j]] * a->x[a->child[j] / 2];
    a->x[i] = y;
}

/* x_i = y_i / d_i - sum over parents p of l_ip x_p, then V += x; 1 where V is no finite number any more. */
TREE_INLINE int tree_back(const tree_args *a, int i)
{
    double x = a->x[i] * a->inverse_pivot[i];
    for (int k = 2 * i; k < 2 * i + 2; k++)
        if (a->parent[k] >= 0) x -= a->factor[k] * a->x[a->parent[k]];
    a->x[i] = x;
    const real V = (real)(a->V[a->node[i]] + x);
    a->V[a->node[i]] = V;
    return !(V - V == 0);
}

#ifdef __CUDACC__
#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;   /* the head of the clock */
#endif

/* A block to a group, level by level. A group larger than the block is walked by it all the same: correct, and fast up
 * to some 1e4 nodes; one tree of 1e6 nodes keeps one multiprocessor busy and leaves the rest idle. */
extern "C" __global__ void __launch_bounds__(256) diffuse_tree(tree_args a, upstroke_clock *clock)
{
    if (clock->halted || clock->status & 9)
        return;
    const int first = a.group_level[blockIdx.x], last = a.group_level[blockIdx.x + 1];
    int broken = 0;
    for (int level = first; level < last; level++) {
        for (int i = a.level_start[level] + threadIdx.x; i < a.level_start[level + 1]; i += blockDim.x)
            tree_forward(&a, i);
        __syncthreads();
    }
    for (int level = last - 1; level >= first; level--) {
        for (int i = a.level_start[level] + threadIdx.x; i < a.level_start[level + 1]; i += blockDim.x)
            broken |= tree_back(&a, i);
        __syncthreads();
    }
    if (broken)
        atomicOr(&clock->status, 1);
}
#else
typedef struct { const tree_args *a; atomic_int status; } tree_job;

/* The order of the places is an order of elimination, so one thread needs no levels. */
static void tree_task(int rank, int size, void *arg)
{
    tree_job *job = arg;
    const tree_args *a = job->a;
    const int *group = a->group_level;
    const long first = a->groups * rank / size, last = a->groups * (rank + 1) / size;
    const int begin = a->level_start[group[first]], end = a->level_start[group[last]];
    int broken = 0;
    for (int i = begin; i < end; i++) tree_forward(a, i);
    for (int i = end - 1; i >= begin; i--) broken |= tree_back(a, i);
    atomic_fetch_or(&job->status, broken);
}

/* Status bits, as kernels over nodes have them. */
long diffuse_tree(team *t, const tree_args *a)
{
    tree_job job = {a, 0};
    const long worth = 1 + a->level_start[a->group_level[a->groups]] / SHARE;
    team_run(t, tree_task, &job, worth < a->groups ? worth : a->groups);
    return job.status;
}
#endif
