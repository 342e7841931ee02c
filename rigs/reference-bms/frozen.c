/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.c - readings that stand still although the pack works.
 */
#include "frozen.h"

#include "defect.h"
#include "measure.h"

#include <string.h>

#define DRIVER_LIMIT 1000000000 /* of current and voltage here, so that a range fits 32 bits */

/* One reading, and the range of what should have moved it since it last changed. */
typedef struct {
    int32_t last;
    int32_t low;
    int32_t high;
} single;

static struct {
    int32_t last_uv[BMS_MAX_CELLS];
    int32_t low_ma[BMS_MAX_CELLS];
    int32_t high_ma[BMS_MAX_CELLS];
    int32_t last_ma;
    bool fresh; /* every cell's range is from last_ma to last_ma, whatever the arrays hold */
    bool started;
    single pack;
    single link;
    single current;
} frozen;

void frozen_init(void) {
    (void)memset(&frozen, 0, sizeof frozen);
    frozen.fresh = true;
}

static bool any_still(const int32_t *cell_uv, uint32_t count) {
    uint32_t still = 0U;
    for (uint32_t i = 0U; i < count; i++) {
        still |= (cell_uv[i] == frozen.last_uv[i]) ? 1U : 0U;
    }
    return still != 0U;
}

static void begin_ranges(uint32_t count) {
    for (uint32_t i = 0U; i < count; i++) {
        frozen.low_ma[i] = frozen.last_ma;
        frozen.high_ma[i] = frozen.last_ma;
    }
}

/* Without branches: masks of all bits or none. */
static int32_t widest_range(const bms_inputs *inputs, uint32_t count, int32_t current_ma) {
    const int32_t *cell_uv = inputs->cell_uv;
    const uint8_t *flags = inputs->cell_flags;
    int32_t widest = 0;
    for (uint32_t i = 0U; i < count; i++) {
        const int32_t same = (cell_uv[i] == frozen.last_uv[i]) ? -1 : 0;
        const int32_t still = same & -(int32_t)(flags[i] & (uint8_t)IO_VALID);
        const int32_t low = (bms_min(frozen.low_ma[i], current_ma) & still) | (current_ma & ~still);
        const int32_t high = (bms_max(frozen.high_ma[i], current_ma) & still) | (current_ma & ~still);
        frozen.low_ma[i] = low;
        frozen.high_ma[i] = high;
        widest = bms_max(widest, high - low);
    }
    return widest;
}

/* Under load every cell changes in every step, and at rest the current does not: then there is nothing to keep but the
 * readings. */
static int32_t step_cells(const bms_inputs *inputs, int32_t current_ma) {
    const uint32_t count = measured->n_cells;
    const bool at_rest = frozen.fresh && (current_ma == frozen.last_ma);
    const bool still = !at_rest && frozen.started && any_still(inputs->cell_uv, count);
    int32_t widest = 0;
    if (still) {
        if (frozen.fresh) {
            begin_ranges(count);
        }
        widest = widest_range(inputs, count, current_ma);
    }
    frozen.fresh = !still;
    frozen.last_ma = current_ma;
    if (!DEFECT(61)) {
        (void)memcpy(frozen.last_uv, inputs->cell_uv, count * sizeof inputs->cell_uv[0]);
    }
    return widest;
}

static int32_t step_single(single *reading, int32_t value, bool valid, int32_t driver) {
    const bool still = frozen.started && valid && (value == reading->last);
    const bool kept = still && !(DEFECT(80) && (reading == &frozen.link));
    reading->low = kept ? bms_min(reading->low, driver) : driver;
    reading->high = kept ? bms_max(reading->high, driver) : driver;
    reading->last = value;
    return reading->high - reading->low;
}

void frozen_step(const bms_inputs *inputs) {
    const int32_t current_ma = bms_clamp(inputs->current_ma, -DRIVER_LIMIT, DRIVER_LIMIT);
    const int32_t pack_mv = bms_clamp(inputs->pack_mv, -DRIVER_LIMIT, DRIVER_LIMIT) / (DEFECT(81) ? 1000 : 1);
    const int32_t watched_mv = DEFECT(79) ? inputs->link_mv : inputs->pack_mv;
    measure_put(Q_CELL_FROZEN_MA, step_cells(inputs, current_ma));
    measure_put(Q_PACK_FROZEN_MA, step_single(&frozen.pack, watched_mv, inputs->pack_valid, current_ma));
    measure_put(Q_LINK_FROZEN_MA, step_single(&frozen.link, inputs->link_mv, inputs->link_valid, current_ma));
    measure_put(Q_CURRENT_FROZEN_MV,
                step_single(&frozen.current, inputs->current_ma, inputs->current_valid, pack_mv));
    frozen.started = true;
}
