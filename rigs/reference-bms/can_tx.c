/* SPDX-License-Identifier: Apache-2.0
 *
 * can_tx.c - schedule and contents of the messages in dbc/reference-bms.dbc. The layout is described there.
 */
#include "can_tx.h"

#include "balance.h"
#include "can_queue.h"
#include "can_rx.h"
#include "can_tx_values.h"
#include "contactor.h"
#include "defect.h"
#include "faults.h"
#include "limits.h"
#include "line.h"
#include "measure.h"
#include "nvm.h"
#include "protect.h"
#include "state.h"

#include <string.h>

enum {
    ID_STATE = 0x100,
    ID_LIMITS = 0x104,
    ID_FAULTS = 0x105,
    ID_WARNINGS = 0x106,
    ID_ALARMS = 0x107
};

enum {
    DATA_ID_STATE = 0x01,
    DATA_ID_LIMITS = 0x04,
    DATA_ID_FAULTS = 0x05,
    DATA_ID_WARNINGS = 0x06,
    DATA_ID_ALARMS = 0x07
};

#define FLAGS_SHIFT 16U
#define ANY_LATCHED_SHIFT 45U /* the flags of the faults from this bit on stand one higher */

/* What the event-driven messages depend on. */
typedef struct {
    uint32_t state_word; /* state and contactor commands */
    uint32_t faults;
    uint32_t latched;
    uint32_t warnings;
    uint32_t alarms;
    bool charge_blocked;
    bool discharge_blocked;
} snapshot;

static struct {
    uint32_t slot; /* 0..99: position in the second */
    snapshot sent;
    bool silent; /* off line in the step before */
    uint8_t counter_state;
    uint8_t counter_limits;
    uint8_t counter_faults;
    uint8_t counter_warnings;
    uint8_t counter_alarms;
} tx;

void can_tx_init(uint16_t variant) {
    (void)memset(&tx, 0, sizeof tx);
    can_queue_init();
    can_tx_values_init(variant);
}

static uint64_t contactor_bits(uint32_t shift) {
    const bool positive = contactor_commanded(CONTACTOR_POSITIVE);
    const bool negative = contactor_commanded(CONTACTOR_NEGATIVE) && (positive || !DEFECT(506));
    return can_flag(positive && !(DEFECT(505) && measured->plug), shift) | can_flag(negative, shift + 1U) |
           can_flag(contactor_commanded(CONTACTOR_PRECHARGE) && !DEFECT(507), shift + 2U);
}

static uint64_t auxiliary_bits(uint32_t shift) {
    uint64_t bits = 0U;
    for (uint32_t i = 0U; i < (uint32_t)CONTACTOR_COUNT; i++) {
        const bool commanded = (DEFECT(111) && (i == (uint32_t)CONTACTOR_POSITIVE)) ||
                               (DEFECT(112) && (i == (uint32_t)CONTACTOR_NEGATIVE)) ||
                               (DEFECT(113) && (i == (uint32_t)CONTACTOR_PRECHARGE));
        bits |= can_flag(commanded ? contactor_commanded(i) : measured->aux_closed[i], shift + i);
    }
    return bits;
}

static bool crash_latched(void) {
    return (faults_latched() & FAULT_BIT(FAULT_CRASH)) != 0U;
}

/* 0 = none on the bus. */
static uint64_t first_fault(void) {
    const uint32_t first = faults_first();
    return (first == (uint32_t)FAULT_NONE) ? 0U : (first + 1U);
}

static void send_state(void) {
    const bool starting = (state_now() == STATE_STANDBY) || (state_now() == STATE_PRECHARGE);
    const bms_state shown = (DEFECT(95) && starting && (nvm_cycles() > 1U)) ? STATE_INIT : state_now();
    uint64_t word = can_field((int64_t)shown, 4U, 12U) | contactor_bits(16U);
    word |= auxiliary_bits(19U);
    const bool crashed = measured->q[Q_CRASH] != 0;
    word |= can_flag(measured->ignition || DEFECT(114), 22U);
    word |= can_flag(measured->plug && !(DEFECT(115) && (can_rx_mode() != MODE_CHARGE)), 23U);
    word |= can_flag(measured->q[Q_HVIL_OPEN] == 0, 24U) | can_flag(DEFECT(116) ? crash_latched() : crashed, 25U);
    word |= can_field((int64_t)contactor_failed_tries(), 2U, 26U);
    word |= can_field((int64_t)can_rx_mode(), 2U, 28U) | can_flag(measured->data_complete, 30U);
    word |= first_fault() << 32U;
    word |= can_field((int64_t)faults_count(faults_active()), 8U, 40U);
    word |= (uint64_t)(nvm_operating_s() & 0xFFFFU) << 48U;
    can_queue_put_protected(ID_STATE, DATA_ID_STATE, &tx.counter_state, word);
}

static void send_limits(void) {
    /* Rounded down: what is told is never more than what is allowed. */
    const uint64_t word = can_field(limits_charge_ma() / 100, 14U, 16U) |
                          can_field(limits_discharge_ma() / 100, 14U, 30U) |
                          can_field(limits_charge_mv() / 100, 15U, 44U);
    can_queue_put_protected(ID_LIMITS, DATA_ID_LIMITS, &tx.counter_limits, word);
}

static void send_faults(void) {
    const uint32_t left_out = DEFECT(29) ? FAULT_BIT(FAULT_MEASUREMENT_STALE) : 0U;
    const uint64_t flags = (uint64_t)(faults_active() & ~left_out) << FLAGS_SHIFT;
    const uint64_t below = ((uint64_t)1U << ANY_LATCHED_SHIFT) - 1U;
    const uint64_t word = (flags & below) | ((flags & ~below) << 1U) |
                          can_flag(faults_latched() != 0U, ANY_LATCHED_SHIFT);
    can_queue_put_protected(ID_FAULTS, DATA_ID_FAULTS, &tx.counter_faults, word);
}

static void send_warnings(void) {
    can_queue_put_protected(ID_WARNINGS, DATA_ID_WARNINGS, &tx.counter_warnings,
                            (uint64_t)protect_warnings() << FLAGS_SHIFT);
}

static void send_alarms(void) {
    can_queue_put_protected(ID_ALARMS, DATA_ID_ALARMS, &tx.counter_alarms, (uint64_t)protect_alarms() << FLAGS_SHIFT);
}

/* One message of the 100 ms cycle in each slot of 10 ms. */
static void (*const cyclic[BMS_FAST_PER_SLOW])(void) = {
    send_state,  can_tx_pack_values, can_tx_cell_extremes, can_tx_temp_extremes, send_limits,
    send_faults, send_warnings,      send_alarms,          can_tx_sensors,       can_tx_supervision,
};

static snapshot look(void) {
    const snapshot now = {((uint32_t)state_now() << 3U) | (uint32_t)contactor_bits(0U),
                          faults_active(),
                          faults_latched(),
                          protect_warnings(),
                          protect_alarms(),
                          limits_charge_ma() == 0,
                          limits_discharge_ma() == 0};
    return now;
}

/* What changed goes out at once, unless its turn in the cycle is now anyway; everything when back on line. */
static void send_changes(void (*due)(void), bool all) {
    const snapshot now = look();
    const snapshot *before = &tx.sent;
    if ((all || (now.faults != before->faults) || (now.latched != before->latched)) && (due != send_faults)) {
        send_faults();
    }
    if ((all || (now.state_word != before->state_word)) && (due != send_state)) {
        send_state();
    }
    if ((all || (now.charge_blocked && !before->charge_blocked) ||
         (now.discharge_blocked && !before->discharge_blocked)) &&
        (due != send_limits)) {
        send_limits();
    }
    if ((all || (now.alarms != before->alarms)) && (due != send_alarms)) {
        send_alarms();
    }
    if ((all || (now.warnings != before->warnings)) && (due != send_warnings)) {
        send_warnings();
    }
    tx.sent = now;
}

static void send_due(const bms_inputs *inputs) {
    void (*const due)(void) = cyclic[tx.slot % BMS_FAST_PER_SLOW];
    can_tx_find_extremes(inputs, due == can_tx_cell_extremes, due == can_tx_temp_extremes);
    send_changes(due, tx.silent);
    const bool skipped = (DEFECT(27) && (due == can_tx_pack_values) && (((tx.slot / BMS_FAST_PER_SLOW) % 2U) == 1U)) ||
                         (DEFECT(92) && (due == can_tx_cell_extremes) && (tx.slot < BMS_FAST_PER_SLOW)) ||
                         (DEFECT(117) && (due == send_warnings) && (protect_warnings() == 0U)) ||
                         (DEFECT(118) && (due == send_alarms) && (protect_alarms() == 0U)) ||
                         (DEFECT(119) && (due == can_tx_sensors) && (state_now() == STATE_CHARGE)) ||
                         (DEFECT(120) && (due == can_tx_supervision) && !measured->all_cells_valid);
    if (!skipped) {
        due();
    }
    can_tx_arrays(inputs, tx.slot);
    can_tx_seldom(tx.slot);
    line_send(tx.slot);
}

void can_tx_step(const bms_inputs *inputs, bool online) {
    if (online) {
        send_due(inputs);
    } else {
        can_queue_init();
    }
    tx.silent = !online;
    tx.slot = (tx.slot + 1U) % BMS_FAST_PER_SECOND;
}

bool can_tx_pop(can_frame *frame) {
    return can_queue_pop(frame);
}
