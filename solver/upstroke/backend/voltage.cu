/* An implicit step of V on cables and neurons in CUDA, level by level of tree.py's order; voltage.py explains the arrays.
 * `real`, the type of V, is defined before it. */
typedef struct {
    const int *node;                          /* (n) the node at each place */
    const int *level_start, *group_level;     /* (levels + 1) first places; (groups + 1) first levels */
    const int *parent;                        /* (n, 2) places, -1 for none */
    const int *child_start, *child;           /* (n + 1); (branches) 2 c + s: the place is parent s of place c */
    const int *origin;                        /* (n, 2) the place that made the branch to a parent, -1 for none */
    const double *coupling;                   /* (n, 2) else its entry, -theta dt k */
    const double *diagonal;                   /* (n) m + theta dt sum k */
    const double *slope, *current;            /* (n) theta dt m / C_m, dt m / C_m */
    const int *row_start, *column;            /* (n + 1) places; nodes */
    const double *flow;                       /* dt k, theta dt k where the place has no membrane; like column */
    real *V;                                  /* (n) mV, by nodes; the rest likewise */
    const real *Iion, *Istim, *G;             /* uA/cm^2, mS/cm^2 */
    double *L, *inverse, *y;                  /* work, by places: entries (n, 2), 1 / pivot, right-hand side */
} levels_args;

#ifndef UPSTROKE_CLOCK
#define UPSTROKE_CLOCK
typedef struct { long step; int halted; int status; } upstroke_clock;   /* the head of the clock */
#endif

/* The place's row, less what its children carry. */
static __device__ __forceinline__ void levels_forward(const levels_args *a, int i)
{
    const int k = a->node[i];
    const double own = a->V[k];
    double y = a->current[i] * ((double)a->Istim[k] - (double)a->Iion[k]);
    double d = a->diagonal[i] + a->slope[i] * (double)a->G[k];
    for (int j = a->row_start[i]; j < a->row_start[i + 1]; j++) y += a->flow[j] * ((double)a->V[a->column[j]] - own);
    for (int j = a->child_start[i]; j < a->child_start[i + 1]; j++) {
        const int branch = a->child[j];
        const double factor = a->L[branch] * a->inverse[branch / 2];
        d -= factor * a->L[branch];
        y -= factor * a->y[branch / 2];
    }
    for (int s = 2 * i; s < 2 * i + 2; s++) {
        const int from = a->origin[s];
        a->L[s] = from < 0 ? a->coupling[s] : -a->L[2 * from] * a->L[2 * from + 1] * a->inverse[from];
    }
    a->inverse[i] = 1.0 / d;
    a->y[i] = y;
}

/* The increment, from those of the parents; 1 where V is no finite number any more. */
static __device__ __forceinline__ int levels_back(const levels_args *a, int i)
{
    double y = a->y[i];
    for (int s = 2 * i; s < 2 * i + 2; s++)
        if (a->parent[s] >= 0) y -= a->L[s] * a->y[a->parent[s]];
    y *= a->inverse[i];
    a->y[i] = y;
    const real V = (real)(a->V[a->node[i]] + y);
    a->V[a->node[i]] = V;
    return !(V - V == 0);
}

/* A block to a group of trees. Status 4 beside 1: what follows in this step leaves the states as they are. */
extern "C" __global__ void __launch_bounds__(256) step_voltage(levels_args a, upstroke_clock *clock)
{
    if (clock->halted) return;
    const int first = a.group_level[blockIdx.x], last = a.group_level[blockIdx.x + 1];
    int broken = 0;
    for (int level = first; level < last; level++) {
        for (int i = a.level_start[level] + threadIdx.x; i < a.level_start[level + 1]; i += blockDim.x)
            levels_forward(&a, i);
        __syncthreads();
    }
    for (int level = last - 1; level >= first; level--) {
        for (int i = a.level_start[level] + threadIdx.x; i < a.level_start[level + 1]; i += blockDim.x)
            broken |= levels_back(&a, i);
        __syncthreads();
    }
    if (broken) atomicOr(&clock->status, 1 | 4);
}
