/* The floor of scoring: the same trees, walked in C, with nothing around it.
 *
 * Eight trees side by side; a leaf points at itself; thresholds are float32, rounded down, so that for float32 rows
 * `x <= t` is exact. No Python, no NaN, no categories: the least that this machine needs for the job.
 */
#include <math.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    float threshold;
    int32_t feature;
    int32_t child; /* the left child; the right one follows */
} node;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static inline double group_sum(const node *nodes, const double *leaves, const int32_t *roots, int steps,
                               const float *row) {
    int32_t at[8];
    double sum = 0;
    for (int k = 0; k < 8; k++) at[k] = roots[k];
    for (int step = 0; step < steps; step++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            const node *here = nodes + at[k];
            at[k] = here->child + !(row[here->feature] <= here->threshold);
        }
    for (int k = 0; k < 8; k++) sum += leaves[at[k]];
    return sum;
}

/* Score `count` rows, `block` rows a group of eight trees before the next group. Returns seconds. */
double walk(const node *nodes, const double *leaves, const int32_t *roots, const int32_t *steps, int groups,
            const float *rows, int width, int count, int block, double *scores) {
    double start = seconds();
    for (int first = 0; first < count; first += block) {
        int end = first + block < count ? first + block : count;
        for (int r = first; r < end; r++) scores[r] = 0;
        for (int g = 0; g < groups; g++)
            for (int r = first; r < end; r++)
                scores[r] += group_sum(nodes, leaves, roots + 8 * g, steps[g], rows + (int64_t)r * width);
        for (int r = first; r < end; r++) scores[r] = 1.0 / (1.0 + exp(-scores[r]));
    }
    return seconds() - start;
}

typedef struct {
    double threshold, value;
    uint32_t slot, feature;
    int32_t parent, previous;
    uint32_t first, unused;
} edge;

/* Exact Shapley values of `count` rows, given as slot numbers: the same two sweeps as ours, in C, trees outside. Returns
 * seconds. `room` holds 12 numbers and one byte a node of the largest tree; `gains` 6 numbers a feature and row. */
double shapley(const edge *edges, const int64_t *starts, int trees, const double *down, const double *up,
               const double *weights, const double *numbers, int slots, int features, int count, double *products,
               double *sums, uint8_t *states, double *gains) {
    double start = seconds();
    states[0] = 2;
    for (int t = 0; t < trees; t++)
        for (int r = 0; r < count; r++) {
            const edge *tree = edges + starts[t];
            const double *row = numbers + (int64_t)r * slots, *d = down + 18 * starts[t], *u = up + 18 * starts[t];
            double *gain = gains + (int64_t)r * features * 6;
            int nodes = (int)(starts[t + 1] - starts[t]);
            for (int q = 0; q < 6; q++) products[q] = weights[q], sums[q] = 0;
            for (int i = 1; i < nodes; i++) {
                const edge *here = tree + i;
                int state = 1 + ((row[here->slot] <= here->threshold) == (here->first == 1));
                if (here->previous >= 0 && states[here->previous] != 2) state = 0;
                states[i] = (uint8_t)state;
                const double *factor = d + 18 * i + 6 * state, *above = products + 6 * here->parent;
                for (int q = 0; q < 6; q++) {
                    double product = above[q] * factor[q];
                    products[6 * i + q] = product, sums[6 * i + q] = here->value * product;
                }
            }
            for (int i = nodes - 1; i > 0; i--) {
                const edge *here = tree + i;
                const double *factor = u + 18 * i + 6 * states[i];
                double *above = sums + 6 * here->parent, *mine = gain + 6 * here->feature;
                for (int q = 0; q < 6; q++) {
                    double sum = sums[6 * i + q];
                    mine[q] += sum * factor[q], above[q] += sum;
                }
            }
        }
    return seconds() - start;
}
