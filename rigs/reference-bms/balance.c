/* SPDX-License-Identifier: Apache-2.0
 *
 * balance.c - passive balancing: bleeds cells that stand above the lowest, at rest or while charging.
 */
#include "balance.h"

#include "defect.h"
#include "measure.h"
#include "params.h"
#include "soc.h"
#include "state.h"

#include <string.h>

#define UV_PER_MV 1000

static struct {
    uint8_t on[BMS_MAX_CELLS];
    uint32_t count;
} balance;

void balance_init(void) {
    (void)memset(&balance, 0, sizeof balance);
}

static bool allowed(void) {
    const bms_state state = state_now();
    const bool at_rest = soc_rest_seconds() >= (uint32_t)params->balance_rest_s;
    return (measured->all_cells_valid || DEFECT(137)) &&
           (((state == STATE_CHARGE) && !DEFECT(140)) ||
            (((state == STATE_STANDBY) || (state == STATE_DRIVE)) && at_rest && !DEFECT(135)));
}

void balance_step(const bms_inputs *inputs) {
    const int32_t floor_uv = DEFECT(129) ? 0 : (params->balance_min_mv * UV_PER_MV);
    const int32_t band_uv = measured->q[Q_CELL_MIN_UV] + (params->balance_band_mv * UV_PER_MV);
    const int32_t above_uv = allowed() ? bms_max(floor_uv, band_uv) : INT32_MAX;
    uint32_t count = 0U;
    for (uint32_t i = DEFECT(136) ? 1U : 0U; i < measured->n_cells; i++) {
        balance.on[i] = (inputs->cell_uv[i] > above_uv) ? 1U : 0U;
        count += balance.on[i];
    }
    balance.count = count;
}

void balance_apply(void) {
    if ((balance.count > 0U) && !allowed()) {
        balance_init();
    }
}

const uint8_t *balance_bits(void) {
    return balance.on;
}

uint32_t balance_count(void) {
    return balance.count;
}
