/* The CPU runtime: a team of threads, and the sparse linear algebra of the diffusion step.
 *
 * Knows arrays and matrices, no physics. `real` (the membrane's precision) is put in front by cpu.py; everything
 * here is computed in double. Sums run over fixed blocks of ROWS rows and are added in block order, so results do
 * not depend on the number of threads.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ROWS 512          /* rows per block of a sum */
#define NODES 256         /* nodes per block of a for_range */
#define SPINS 4000        /* polls before a waiting thread gives up its core */
#define SHARE 1024        /* nodes of independent work below which one more thread costs more than it brings */
#define JOINT_SHARE 8192  /* the same where threads meet at barriers: one that lost its core to another program stops all */

/* ------------------------------------------------------------------------------------------- thread team */
typedef void (*team_task)(int rank, int size, void *arg);

typedef struct team {
    int size, active;     /* threads there are, and those at work in this task */
    pthread_t *threads;
    pthread_mutex_t lock, busy;
    pthread_cond_t wake;
    team_task task;
    void *arg;
    atomic_int generation, working, arrived, sense;
    int closing;
} team;

typedef struct { team *t; int rank; } member;

static void relax(int *spins)
{
    if (++*spins > SPINS) sched_yield();
}

static void *member_main(void *arg)
{
    member m = *(member *)arg;
    team *t = m.t;
    free(arg);
    int seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load(&t->generation) == seen && spins < SPINS) spins++;
        if (atomic_load(&t->generation) == seen) {
            pthread_mutex_lock(&t->lock);
            while (atomic_load(&t->generation) == seen) pthread_cond_wait(&t->wake, &t->lock);
            pthread_mutex_unlock(&t->lock);
        }
        seen = atomic_load(&t->generation);
        if (t->closing) return NULL;
        if (m.rank < t->active) t->task(m.rank, t->active, t->arg);
        atomic_fetch_sub(&t->working, 1);
    }
}

team *team_open(int size)
{
    team *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->busy, NULL);
    pthread_cond_init(&t->wake, NULL);
    t->threads = calloc((size_t)size, sizeof *t->threads);
    t->size = 1;
    for (int rank = 1; rank < size; rank++) {
        member *m = malloc(sizeof *m);
        m->t = t;
        m->rank = rank;
        if (pthread_create(&t->threads[rank], NULL, member_main, m)) {   /* the system gives no more: do with fewer */
            free(m);
            break;
        }
        t->size++;
    }
    return t;
}

static void team_wake(team *t)
{
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->generation, 1);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

/* Run a task by as many threads as are worth it. */
static void team_run(team *t, team_task task, void *arg, long worth)
{
    pthread_mutex_lock(&t->busy);
    t->active = worth < t->size ? (int)worth : t->size;
    t->task = task;
    t->arg = arg;
    atomic_store(&t->arrived, 0);
    if (t->active > 1) {
        atomic_store(&t->working, t->size - 1);
        team_wake(t);
    }
    task(0, t->active, arg);
    int spins = 0;
    while (atomic_load(&t->working)) relax(&spins);
    pthread_mutex_unlock(&t->busy);
}

/* All members meet here; `sense` is the caller's own, starting at the team's. */
static void team_barrier(team *t, int *sense)
{
    int next = !*sense, spins = 0;
    if (atomic_fetch_add(&t->arrived, 1) == t->active - 1) {
        atomic_store(&t->arrived, 0);
        atomic_store(&t->sense, next);
    } else {
        while (atomic_load(&t->sense) != next) relax(&spins);
    }
    *sense = next;
}

int team_size(const team *t)
{
    return t->size;
}

void team_close(team *t)
{
    t->closing = 1;
    team_wake(t);
    for (int rank = 1; rank < t->size; rank++) pthread_join(t->threads[rank], NULL);
    free(t->threads);
    free(t);
}

/* ------------------------------------------------------------------------------ independent work on ranges */
typedef long (*range_function)(long begin, long end, const void *args);
typedef struct { range_function f; const void *args; long n; atomic_long next, status; } range_job;

static void range_task(int rank, int size, void *arg)
{
    range_job *job = arg;
    long status = 0, begin;
    (void)rank, (void)size;
    while ((begin = atomic_fetch_add(&job->next, NODES)) < job->n)
        status |= job->f(begin, begin + NODES < job->n ? begin + NODES : job->n, job->args);
    atomic_fetch_or(&job->status, status);
}

/* f over [0, n) in blocks taken by whichever thread is free; the OR of what the blocks return. */
long for_range(team *t, range_function f, const void *args, long n)
{
    range_job job = {f, args, n, 0, 0};
    team_run(t, range_task, &job, 1 + n / SHARE);
    return job.status;
}

/* ------------------------------------------------------------------------------------------- sparse algebra */
/* Matrices are couplings between neighbours in slices of LANES rows (SELL): entry j of row i lies at
 * [(start[i / LANES] + j) * LANES + i % LANES]; short rows are filled up with zero couplings to themselves. The lanes are
 * independent sums, which the compiler puts into one vector register. */
#define LANES 8

typedef void (*exchange)(const void *vector);
typedef double (*adder)(double mine);

typedef struct {
    long n;                       /* rows */
    const long *start;            /* (slices + 1) first entry of each slice */
    const int *column;            /* (start[slices] * LANES) */
    const float *A;               /* likewise: couplings of A = M + theta dt K */
    const float *K;               /* likewise: couplings of the stiffness */
    const double *mass;           /* (n) lumped mass: row sums of A */
    const double *inverse_diagonal;   /* (n) 1 / diag(A); explicit: 1 / lumped mass */
    double trace;                 /* sum of diag(A) */
    double dt, tolerance;         /* ms, mV */
    long max_iterations;
    double low, high;             /* bounds of the eigenvalues of A / diag(A), for Chebyshev's iteration */
    const double *past[3];        /* (n) increments of the last steps, newest first */
    double weight[3];             /* x starts as the weighted sum of these */
    double *x, *r, *p, *q;        /* (n) x: the increment, out; the rest is work */
    double *partial;              /* (2 * blocks) */
    real *V;                      /* (n) mV */
    long iterations;              /* out */
    double residual;              /* out, mV^2 */
    team *t;
    /* Where the rows are shared out among processes, vectors go on after their n values with those of neighbours in other
     * processes, which ``begin`` and ``end`` of an exchange bring; ``sum`` adds over all processes. NULL for one alone. */
    exchange begin, end;
    adder sum;
    const unsigned char *outward; /* (blocks) whether a row of it has neighbours in other processes */
    double shared;
} diffusion;

static double across(const double *lane)
{
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static double total(const double *partial, long blocks)
{
    double sum = 0;
    for (long b = 0; b < blocks; b++) sum += partial[b];
    return sum;
}

#define EACH_BLOCK(d, first, last) \
    for (long b = (first), begin = b * ROWS, end = begin + ROWS < (d)->n ? begin + ROWS : (d)->n; b < (last); \
         b++, begin = b * ROWS, end = begin + ROWS < (d)->n ? begin + ROWS : (d)->n)

/* Rows are applied as (A x)_i = m_i x_i + sum_j a_ij (x_j - x_i), (K x)_i = sum_j k_ij (x_j - x_i): what leaves one node
 * arrives at the other, a uniform field stays uniform to the last bit, and couplings need no more digits than a float has
 * (conductivities are known to two or three). */
#define DEFINE_APPLY(name, number) \
    static inline void name(const diffusion *d, const float *couplings, long slice, int lanes, const number *x, double *sum) \
    { \
        double own[LANES]; \
        for (int l = 0; l < lanes; l++) { own[l] = (double)x[slice * LANES + l]; sum[l] = 0; } \
        for (long j = d->start[slice]; j < d->start[slice + 1]; j++) { \
            const int *column = d->column + j * LANES; \
            const float *coupling = couplings + j * LANES; \
            for (int l = 0; l < lanes; l++) sum[l] += (double)coupling[l] * ((double)x[column[l]] - own[l]); \
        } \
    }
DEFINE_APPLY(apply, double)
DEFINE_APPLY(apply_V, real)

/* The blocks of a thread that need nothing from other processes while an exchange of ``vector`` is under way, then the
 * others; one process takes all in one go. Only the first thread exchanges. */
#define EACH_BLOCK_WITH(d, first, last, rank, sense, vector, ...) \
    do { \
        if ((d)->begin && (rank) == 0) (d)->begin(vector); \
        for (int outward = 0; outward <= ((d)->begin != NULL); outward++) { \
            if (outward) { \
                if ((rank) == 0) (d)->end(vector); \
                team_barrier((d)->t, sense); \
            } \
            EACH_BLOCK(d, first, last) { \
                if ((d)->begin && (d)->outward[b] != outward) continue; \
                __VA_ARGS__ \
            } \
        } \
    } while (0)

/* A sum over the blocks of all processes; the members have met. */
static double everywhere(diffusion *d, int rank, int *sense, double mine)
{
    if (!d->sum) return mine;
    if (rank == 0) d->shared = d->sum(mine);
    team_barrier(d->t, sense);
    return d->shared;
}

/* Slices of a block, whole ones with a constant number of lanes, then what is left of the last. */
#define EACH_SLICE(begin, end, ...) \
    do { \
        long slice = (begin) / LANES; \
        for (; (slice + 1) * LANES <= (end); slice++) { enum { lanes = LANES }; __VA_ARGS__ } \
        if (slice * LANES < (end)) { int lanes = (int)((end) - slice * LANES); __VA_ARGS__ } \
    } while (0)

#define EACH_ROW(d, first, last) \
    for (long i = (first) * ROWS, stop_ = (last) * ROWS < (d)->n ? (last) * ROWS : (d)->n; i < stop_; i++)

/* Both solvers stop when sqrt(r.z / trace) <= tolerance: z = r / diag(A) is a voltage, the root its volume-weighted RMS.
 *
 * The guess, x = weighted increments of the last steps; r = -dt K V - A x, p = scale z. Returns r.z; the members have met. */
static double start_solve(diffusion *d, long first, long last, int rank, double scale, int *sense)
{
    const double *restrict mass = d->mass, *restrict inv = d->inverse_diagonal;
    double *x = d->x, *restrict r = d->r, *restrict p = d->p;
    EACH_ROW(d, first, last)
        x[i] = d->weight[0] * d->past[0][i] + d->weight[1] * d->past[1][i] + d->weight[2] * d->past[2][i];
    if (d->begin && rank == 0) {
        d->begin(d->V);
        d->end(d->V);
    }
    team_barrier(d->t, sense);
    EACH_BLOCK_WITH(d, first, last, rank, sense, x, {
        double sum[LANES] = {0};
        EACH_SLICE(begin, end, {
            double Ax[LANES], KV[LANES];
            apply(d, d->A, slice, lanes, x, Ax);
            apply_V(d, d->K, slice, lanes, d->V, KV);
            for (int l = 0; l < lanes; l++) {
                long i = slice * LANES + l;
                r[i] = -(mass[i] * x[i] + Ax[l] + d->dt * KV[l]);
                p[i] = scale * (r[i] * inv[i]);
                sum[l] += r[i] * (r[i] * inv[i]);
            }
        });
        d->partial[b] = across(sum);
    });
    team_barrier(d->t, sense);
    return everywhere(d, rank, sense, total(d->partial, (d->n + ROWS - 1) / ROWS));
}

/* V += x, and what the solve took; `rho` is the last r.z. */
static void end_solve(diffusion *d, long first, long last, int rank, long iterations, double rho)
{
    EACH_ROW(d, first, last) d->V[i] = (real)(d->V[i] + d->x[i]);
    if (rank == 0) {
        d->iterations = iterations;
        d->residual = rho / d->trace;         /* squared; NaN stays NaN */
    }
}

/* One step of A delta = -dt K V by conjugate gradients with Jacobi preconditioner, then V += delta. */
static void cg_task(int rank, int size, void *arg)
{
    diffusion *d = arg;
    const double *restrict mass = d->mass, *restrict inv = d->inverse_diagonal;
    double *x = d->x, *p = d->p, *restrict r = d->r, *restrict q = d->q;
    long blocks = (d->n + ROWS - 1) / ROWS, first = blocks * rank / size, last = blocks * (rank + 1) / size;
    double *rho_part = d->partial, *pq_part = d->partial + blocks;
    int sense = atomic_load(&d->t->sense);

    double rho = start_solve(d, first, last, rank, 1.0, &sense), stop = d->tolerance * d->tolerance * d->trace;
    long iterations = 0;
    while (rho > stop && iterations < d->max_iterations) {
        iterations++;
        EACH_BLOCK_WITH(d, first, last, rank, &sense, p, {
            double sum[LANES] = {0};
            EACH_SLICE(begin, end, {
                double Ap[LANES];
                apply(d, d->A, slice, lanes, p, Ap);
                for (int l = 0; l < lanes; l++) {
                    long i = slice * LANES + l;
                    q[i] = mass[i] * p[i] + Ap[l];
                    sum[l] += q[i] * p[i];
                }
            });
            pq_part[b] = across(sum);
        });
        team_barrier(d->t, &sense);
        double alpha = rho / everywhere(d, rank, &sense, total(pq_part, blocks));
        EACH_BLOCK(d, first, last) {
            double sum[LANES] = {0};
            EACH_SLICE(begin, end, {
                for (int l = 0; l < lanes; l++) {
                    long i = slice * LANES + l;
                    x[i] += alpha * p[i];
                    r[i] -= alpha * q[i];
                    sum[l] += r[i] * r[i] * inv[i];
                }
            });
            rho_part[b] = across(sum);
        }
        team_barrier(d->t, &sense);
        double next = everywhere(d, rank, &sense, total(rho_part, blocks)), beta = next / rho;
        rho = next;
        EACH_ROW(d, first, last) p[i] = r[i] * inv[i] + beta * p[i];
        team_barrier(d->t, &sense);
    }
    end_solve(d, first, last, rank, iterations, rho);
}

void diffuse_cg(diffusion *d)
{
    team_run(d->t, cg_task, d, 1 + d->n / JOINT_SHARE);
}

/* One step of A delta = -dt K V by Chebyshev's iteration with Jacobi preconditioner, then V += delta. (Golub and Varga
 * 1961, doi 10.1007/BF01386013.) With low <= lambda(A / D) <= high, D = diag(A), c = (high + low) / 2,
 * h = (high - low) / 2 and sigma = c / h:
 *
 *     start      p = z / c,  omega = 1 / sigma
 *     iteration  x += p;  r -= A p;  z = r / D;  next = 1 / (2 sigma - omega);
 *                p = next omega p + (2 next / h) z;  omega = next
 *
 * No sums, and one barrier an iteration, as the new p goes to q and the two change places. After k iterations
 * sqrt(r.z) is at most 1 / cosh(k acosh sigma) of what it was, so the sum at the start tells how many are enough, and the
 * sum after them says whether they were. They are not where `low` was too high: then a few more, and so on. Where `high`
 * is too low the iteration diverges. */
static void chebyshev_task(int rank, int size, void *arg)
{
    diffusion *d = arg;
    const double *restrict mass = d->mass, *restrict inv = d->inverse_diagonal;
    double *p = d->p, *q = d->q;
    long blocks = (d->n + ROWS - 1) / ROWS, first = blocks * rank / size, last = blocks * (rank + 1) / size;
    double *part = d->partial + blocks;
    int sense = atomic_load(&d->t->sense);
    const double c = 0.5 * (d->high + d->low), h = 0.5 * (d->high - d->low), sigma = c / h;
    double omega = 1.0 / sigma;

    double rho = start_solve(d, first, last, rank, 1.0 / c, &sense), stop = d->tolerance * d->tolerance * d->trace;
    double due = fmax(1.0, ceil(acosh(sqrt(rho / stop)) / acosh(sigma)));
    long iterations = 0;
    while (rho > stop && iterations < d->max_iterations) {
        for (; iterations < due && iterations < d->max_iterations; iterations++) {
            const double next = 1.0 / (2.0 * sigma - omega), of_p = next * omega, of_z = 2.0 * next / h;
            const double *restrict old = p;
            double *restrict new = q, *restrict x = d->x, *restrict r = d->r;
            EACH_BLOCK_WITH(d, first, last, rank, &sense, old, {
                double sum[LANES] = {0};
                EACH_SLICE(begin, end, {
                    double Ap[LANES];
                    apply(d, d->A, slice, lanes, old, Ap);
                    for (int l = 0; l < lanes; l++) {
                        long i = slice * LANES + l;
                        r[i] -= mass[i] * old[i] + Ap[l];
                        x[i] += old[i];
                        new[i] = of_p * old[i] + of_z * (r[i] * inv[i]);
                        sum[l] += r[i] * (r[i] * inv[i]);
                    }
                });
                part[b] = across(sum);
            });
            team_barrier(d->t, &sense);
            omega = next;
            q = p;
            p = new;
        }
        rho = everywhere(d, rank, &sense, total(part, blocks));
        due = iterations + 1 + iterations / 8;
        team_barrier(d->t, &sense);            /* all have read the sums before they are written again */
    }
    end_solve(d, first, last, rank, iterations, rho);
}

void diffuse_chebyshev(diffusion *d)
{
    team_run(d->t, chebyshev_task, d, 1 + d->n / JOINT_SHARE);
}

/* V -= dt K V / m, the forward Euler step with lumped mass m. */
static void explicit_task(int rank, int size, void *arg)
{
    diffusion *d = arg;
    long blocks = (d->n + ROWS - 1) / ROWS, first = blocks * rank / size, last = blocks * (rank + 1) / size;
    int sense = atomic_load(&d->t->sense);
    EACH_BLOCK_WITH(d, first, last, rank, &sense, d->V, {
        EACH_SLICE(begin, end, {
            double KV[LANES];
            apply_V(d, d->K, slice, lanes, d->V, KV);
            for (int l = 0; l < lanes; l++) {
                long i = slice * LANES + l;
                d->q[i] = d->dt * KV[l] * d->inverse_diagonal[i];
            }
        });
    });
    team_barrier(d->t, &sense);
    EACH_ROW(d, first, last) d->V[i] = (real)(d->V[i] - d->q[i]);
}

void diffuse_explicit(diffusion *d)
{
    team_run(d->t, explicit_task, d, 1 + d->n / JOINT_SHARE);
}
