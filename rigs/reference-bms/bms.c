/* SPDX-License-Identifier: Apache-2.0
 *
 * bms.c - the application: start-up and its tasks, in the order of the signal flow.
 */
#include "bms.h"

#include "balance.h"
#include "can_bus.h"
#include "can_rx.h"
#include "can_tx.h"
#include "contact.h"
#include "contactor.h"
#include "defect.h"
#include "dtc.h"
#include "faults.h"
#include "frozen.h"
#include "gbt.h"
#include "j1939.h"
#include "limits.h"
#include "line.h"
#include "longrun.h"
#include "measure.h"
#include "nvm.h"
#include "overcurrent.h"
#include "parallel.h"
#include "params.h"
#include "protect.h"
#include "seeded_step.h"
#include "soc.h"
#include "state.h"
#include "thermal.h"
#include "uds.h"

static struct {
    uint32_t now_ms; /* free-running, wraps */
    uint32_t slot;   /* 0..99: position in the second */
    bms_start start; /* with which to begin anew */
    uint8_t image[NVM_SIZE];
} task;

uint32_t bms_init(const bms_start *start) {
    task.start = *start;
    task.now_ms = start->start_tick_ms;
    task.slot = 0U;
    params_seal();
    const int image = nvm_init(start->nvm, start->nvm_size, params->nvm_expected != 0);
    const uint32_t latched = nvm_latched() & (DEFECT(36) ? ~FAULT_BIT(FAULT_HVIL) : UINT32_MAX);
    faults_init(latched);
    if (image == NVM_BROKEN) {
        faults_raise(FAULT_NVM);
    }
    measure_init(start->n_cells, start->n_temps);
    measure_put(Q_INTERNAL, 0);
    frozen_init();
    thermal_init();
    soc_init(nvm_charge_uah(), nvm_throughput_mah());
    overcurrent_init(latched);
    seeded_step_init();
    contactor_init();
    contact_init();
    state_init(task.now_ms);
    limits_init();
    line_init();
    balance_init();
    can_bus_init(task.now_ms);
    can_rx_init(task.now_ms);
    j1939_init();
    gbt_init();
    can_tx_init(start->variant);
    uds_init(task.now_ms);
    dtc_init();
    strings_init();
    return protect_init(latched);
}

/* As if switched off and on, but for the clock. */
static void restart(void) {
    nvm_store_charge(soc_charge_uah(), soc_throughput_mah());
    nvm_flush();
    bms_start start = task.start;
    start.nvm_size = nvm_read(task.image, sizeof task.image);
    start.nvm = task.image;
    start.start_tick_ms = task.now_ms;
    (void)bms_init(&start); /* the parameters were in order before */
}

static void slow_task(const bms_inputs *inputs) {
    thermal_step(inputs);
    soc_step();
}

static void second_task(const bms_inputs *inputs) {
    measure_put(Q_INTERNAL, params_intact() ? 0 : 1);
    soc_rest_step();
    balance_step(inputs);
    nvm_tick();
    nvm_store_charge(soc_charge_uah(), soc_throughput_mah());
}

void bms_task(const bms_inputs *inputs) {
    if (uds_take_reset()) {
        restart();
    }
    const bool slow = (task.slot % BMS_FAST_PER_SLOW) == 0U;
    can_rx_step(task.now_ms);
    measure_step(inputs);
    seeded_step();
    frozen_step(inputs);
    soc_count();
    if (slow) {
        slow_task(inputs);
    }
    contact_step(task.now_ms);
    contactor_compare();
    can_rx_put_ages(task.now_ms);
    gbt_step(inputs, task.now_ms);
    can_bus_step(task.now_ms, inputs->can_bus_off);
    strings_step((can_rx_mode() == MODE_DRIVE) || (can_rx_mode() == MODE_CHARGE));
    protect_step(state_watch());
    overcurrent_step();
    faults_update(protect_causes() | overcurrent_causes() | gbt_causes(), can_rx_take_reset());
    state_step(task.now_ms, can_rx_heard(), can_rx_mode());
    contactor_step(task.now_ms);
    dtc_step();
    uds_step(task.now_ms);
    limits_apply();
    if (slow) {
        limits_derate();
    }
    if (task.slot == (BMS_FAST_PER_SECOND - 1U)) {
        second_task(inputs);
    }
    balance_apply();
    can_tx_step(inputs, can_bus_online());
    j1939_step(task.now_ms, task.slot, can_bus_online());
    nvm_flush();
    task.slot = (task.slot + 1U) % BMS_FAST_PER_SECOND;
    task.now_ms += BMS_FAST_MS;
}

uint32_t bms_idle_ms(void) {
    return longrun_idle_ms(task.now_ms);
}

void bms_pass(uint32_t ms) {
    longrun_pass(ms);
    task.now_ms += ms;
}
