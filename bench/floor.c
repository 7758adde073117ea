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
