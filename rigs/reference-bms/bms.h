/* SPDX-License-Identifier: Apache-2.0
 *
 * bms.h - the application: start-up and its tasks.
 */
#ifndef BMS_H
#define BMS_H

#include "bms_io.h"

typedef struct {
    uint32_t n_cells;
    uint32_t n_temps;
    uint32_t start_tick_ms;
    uint16_t variant;
    const uint8_t *nvm; /* NULL: factory-new */
    uint32_t nvm_size;
} bms_start;

/* Power-on; the parameters are set before. Returns PROTECT_OK or the position of a limit in a wrong order. */
uint32_t bms_init(const bms_start *start);

/* One fast task (10 ms) and whatever slower task is due with it. */
void bms_task(const bms_inputs *inputs);

/* Long runs: see longrun.h. */
uint32_t bms_idle_ms(void);
void bms_pass(uint32_t ms);

#endif
