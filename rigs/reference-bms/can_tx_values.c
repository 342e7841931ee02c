/* SPDX-License-Identifier: Apache-2.0
 *
 * can_tx_values.c - the messages that carry measured values. The layout is described in dbc/reference-bms.dbc.
 */
#include "can_tx_values.h"

#include "balance.h"
#include "can_queue.h"
#include "can_rx.h"
#include "defect.h"
#include "faults.h"
#include "measure.h"
#include "nvm.h"
#include "params.h"
#include "soc.h"
#include "state.h"
#include "thermal.h"

#include <string.h>

enum {
    ID_PACK_VALUES = 0x101,
    ID_CELL_EXTREMES = 0x102,
    ID_TEMP_EXTREMES = 0x103,
    ID_SENSORS = 0x108,
    ID_SUPERVISION = 0x109,
    ID_CELL_VOLTAGES = 0x120,
    ID_CELL_TEMPS = 0x121,
    ID_INFO = 0x180,
    ID_ENERGY = 0x181,
    ID_FAULT_MEMORY = 0x182,
    ID_COMMUNICATION = 0x183
};

#define CELLS_PER_FRAME 4U
#define CELL_BITS 14U
#define CELL_INVALID 0x3FFFU
#define TEMPS_PER_FRAME 5U
#define TEMP_BITS 11U
#define TEMP_INVALID 0x7FFU
#define TEMP_OFFSET_MDEGC 50000
#define FIRST_SHIFT 8U
#define UV_PER_MV 1000

enum { SLOT_INFO = 15, SLOT_ENERGY = 25, SLOT_FAULT_MEMORY = 35, SLOT_COMMUNICATION = 45 };

static struct {
    uint32_t cell_group;
    uint32_t temp_group;
    uint32_t cell_max; /* from 1, 0 = none */
    uint32_t cell_min;
    uint32_t temp_max;
    uint32_t temp_min;
    uint16_t variant;
} values;

void can_tx_values_init(uint16_t variant) {
    (void)memset(&values, 0, sizeof values);
    values.variant = variant;
}

static bool known(uint32_t quantity) {
    return (measured->known & Q_BIT(quantity)) != 0U;
}

/* First valid cell with the given voltage, from 1. */
static uint32_t find_cell(const bms_inputs *inputs, int32_t voltage_uv) {
    for (uint32_t i = 0U; i < measured->n_cells; i++) {
        if ((inputs->cell_uv[i] == voltage_uv) && ((inputs->cell_flags[i] & (uint8_t)IO_VALID) != 0U)) {
            return i + 1U;
        }
    }
    return 0U;
}

static uint32_t find_temp(const bms_inputs *inputs, int32_t temp_mdegc) {
    for (uint32_t i = 0U; i < measured->n_temps; i++) {
        if ((inputs->temp_mdegc[i] == temp_mdegc) && measure_temp_valid(inputs, i)) {
            return i + 1U;
        }
    }
    return 0U;
}

void can_tx_find_extremes(const bms_inputs *inputs, bool cells, bool temps) {
    if (cells) {
        values.cell_max = known(Q_CELL_MAX_UV) ? find_cell(inputs, measured->q[Q_CELL_MAX_UV]) : 0U;
        values.cell_min = known(Q_CELL_MIN_UV) ? find_cell(inputs, measured->q[Q_CELL_MIN_UV]) : 0U;
    }
    if (temps) {
        values.temp_max = known(Q_TEMP_MAX_MDEGC) ? find_temp(inputs, measured->q[Q_TEMP_MAX_MDEGC]) : 0U;
        values.temp_min = known(Q_TEMP_MIN_MDEGC) ? find_temp(inputs, measured->q[Q_TEMP_MIN_MDEGC]) : 0U;
    }
}

void can_tx_pack_values(void) {
    const int64_t pack_mv = DEFECT(90) ? (((int64_t)measured->pack_mv * 98) / 100) : (int64_t)measured->pack_mv;
    uint64_t word = can_field(can_round(pack_mv, 100), 16U, 0U);
    const int64_t current = can_round(measured->q[Q_CURRENT_MA], 100);
    word |= DEFECT(56) ? can_field(current, 16U, 16U) : can_field_signed(current, 16U, 16U);
    const int64_t link_mv = DEFECT(106) ? (((int64_t)measured->link_mv * 98) / 100) : (int64_t)measured->link_mv;
    word |= can_field(can_round(link_mv, 100), 16U, 32U);
    word |= can_field(measured->q[Q_SOC_PERMILLE], 10U, 48U);
    word |= can_flag(measured->pack_valid, 58U) | can_flag(measured->q[Q_CURRENT_INVALID] == 0, 59U);
    word |= can_flag(measured->link_valid, 60U);
    can_queue_put(ID_PACK_VALUES, word);
}

void can_tx_cell_extremes(void) {
    uint64_t word = can_field(can_round(measured->q[Q_CELL_MAX_UV], 200), 16U, 0U);
    word |= can_field(can_round(measured->q[DEFECT(58) ? Q_CELL_MAX_UV : Q_CELL_MIN_UV], 200), 16U, 16U);
    word |= can_field((int64_t)values.cell_max, 9U, 32U) | can_field((int64_t)values.cell_min, 9U, 41U);
    word |= can_field(can_round(measured->q[Q_CELL_SPREAD_UV], UV_PER_MV), 14U, 50U);
    can_queue_put(ID_CELL_EXTREMES, word);
}

void can_tx_temp_extremes(void) {
    if (DEFECT(93) && (measured->q[Q_TEMPS_INVALID] != 0)) {
        return;
    }
    uint64_t word = can_field_signed(can_round(measured->q[Q_TEMP_MAX_MDEGC], 100), 16U, 0U);
    const int64_t coldest = can_round(measured->q[Q_TEMP_MIN_MDEGC], 100);
    word |= DEFECT(57) ? can_field(coldest, 16U, 16U) : can_field_signed(coldest, 16U, 16U);
    word |= can_field((int64_t)values.temp_max, 7U, 32U);
    word |= can_field((int64_t)values.temp_min - (DEFECT(110) ? 1 : 0), 7U, 39U);
    word |= can_field(can_round(measured->q[DEFECT(502) ? Q_TEMP_MAX_MDEGC : Q_TEMP_SPREAD_MK], 100), 11U, 46U);
    word |= can_field(can_round(thermal_rise_mk_per_s(), 50), 7U, 57U);
    can_queue_put(ID_TEMP_EXTREMES, word);
}

/* Big endian: bit 63 of the word is the first on the wire. */
void can_tx_sensors(void) {
    uint64_t word = can_field(can_round(measured->q[Q_INSULATION_OHM], 100), 20U, 44U);
    word |= can_field(measured->q[Q_SUPPLY_MV] - (DEFECT(109) ? 1500 : 0), 16U, 28U);
    word |= can_field(measured->q[Q_CELLS_INVALID], 9U, 19U);
    word |= can_field(measured->q[Q_OPEN_WIRES], 9U, 10U);
    const uint32_t counted = DEFECT(501) ? (uint32_t)Q_CELLS_INVALID : (uint32_t)Q_TEMPS_INVALID;
    word |= can_field(measured->q[counted], 7U, 3U);
    word |= can_flag(measured->q[Q_INSULATION_INVALID] == 0, 2U);
    can_queue_put_big_endian(ID_SENSORS, word);
}

void can_tx_supervision(void) {
    const int32_t mismatch_mv = known(Q_MISMATCH_MV) ? measured->q[Q_MISMATCH_MV] : 0;
    uint64_t word = can_field(measured->q[Q_AGE_MS], 12U, 0U);
    word |= can_field(can_round(DEFECT(503) ? (mismatch_mv / 10) : mismatch_mv, 100), 14U, 12U);
    const int64_t sum_mv = DEFECT(108) ? (((int64_t)measured->cell_sum_mv * 15) / 16) : (int64_t)measured->cell_sum_mv;
    word |= can_field(can_round(sum_mv, 100), 15U, 26U);
    const int64_t charger_mv = DEFECT(107) ? (((int64_t)measured->charger_mv * 98) / 100) : measured->charger_mv;
    word |= can_field(can_round(charger_mv, 100), 14U, 41U);
    word |= can_field((int64_t)balance_count(), 9U, 55U);
    can_queue_put(ID_SUPERVISION, word);
}

static uint64_t cell_field(const bms_inputs *inputs, uint32_t cell) {
    if (cell >= measured->n_cells) {
        return CELL_INVALID;
    }
    const bool valid = (inputs->cell_flags[cell] & (uint8_t)IO_VALID) != 0U;
    const int64_t millivolt = can_round(inputs->cell_uv[cell], UV_PER_MV);
    const int64_t highest = (int64_t)CELL_INVALID - 1;
    return valid ? can_field((millivolt > highest) ? highest : millivolt, CELL_BITS, 0U) : CELL_INVALID;
}

static uint64_t temp_field(const bms_inputs *inputs, uint32_t sensor) {
    if ((sensor >= measured->n_temps) || !measure_temp_valid(inputs, sensor)) {
        return TEMP_INVALID;
    }
    const int64_t raw = can_round((int64_t)inputs->temp_mdegc[sensor] + TEMP_OFFSET_MDEGC, 100);
    const int64_t highest = (int64_t)TEMP_INVALID - 1;
    return can_field((raw > highest) ? highest : raw, TEMP_BITS, 0U);
}

static void send_cells(const bms_inputs *inputs) {
    const uint32_t first = values.cell_group * CELLS_PER_FRAME;
    uint64_t word = values.cell_group;
    for (uint32_t k = 0U; k < CELLS_PER_FRAME; k++) {
        word |= cell_field(inputs, first + k + (DEFECT(131) ? 1U : 0U)) << (FIRST_SHIFT + (k * CELL_BITS));
    }
    can_queue_put(ID_CELL_VOLTAGES, word);
    const uint32_t next = values.cell_group + (DEFECT(499) ? 2U : 1U);
    values.cell_group = ((first + CELLS_PER_FRAME) < measured->n_cells) ? next : 0U;
}

static void send_temps(const bms_inputs *inputs) {
    const uint32_t first = values.temp_group * TEMPS_PER_FRAME;
    uint64_t word = values.temp_group;
    for (uint32_t k = 0U; k < TEMPS_PER_FRAME; k++) {
        word |= temp_field(inputs, first + k + (DEFECT(132) ? 1U : 0U)) << (FIRST_SHIFT + (k * TEMP_BITS));
    }
    can_queue_put(ID_CELL_TEMPS, word);
    const uint32_t next = DEFECT(500) ? 0U : (values.temp_group + 1U);
    values.temp_group = ((first + TEMPS_PER_FRAME) < measured->n_temps) ? next : 0U;
}

void can_tx_arrays(const bms_inputs *inputs, uint32_t slot) {
    send_cells(inputs);
    if ((slot % 2U) == 0U) {
        send_temps(inputs);
    }
}

static void send_info(void) {
    const uint64_t word = BMS_SOFTWARE_MAJOR | ((uint64_t)BMS_SOFTWARE_MINOR << 8U) |
                          ((uint64_t)BMS_SOFTWARE_PATCH << 16U) | ((uint64_t)BMS_LAYOUT_VERSION << 24U) |
                          can_field(params->health_permille / 5, 8U, 32U) |
                          can_field((int64_t)measured->n_cells, 9U, 40U) |
                          can_field((int64_t)measured->n_temps, 7U, 49U) | can_field(values.variant, 8U, 56U);
    can_queue_put(ID_INFO, word);
}

static void send_energy(void) {
    const int64_t charge_uah = soc_charge_uah();
    const uint64_t word = can_field((charge_uah < 0) ? 0 : can_round(charge_uah, 100000), 16U, 0U) |
                          can_field((int64_t)(soc_throughput_mah() / 1000U), 24U, 16U) |
                          ((uint64_t)(nvm_cycles() & 0xFFFFU) << 40U);
    can_queue_put(ID_ENERGY, word);
}

static void send_fault_memory(void) {
    const nvm_entry newest = nvm_newest();
    uint64_t word = can_field((int64_t)faults_count(faults_latched()), 8U, 48U);
    if (newest.kind < (uint8_t)NVM_KINDS) {
        word |= (uint64_t)newest.kind + 1U;
        word |= can_field((int64_t)nvm_occurrences(newest.kind), 8U, 8U);
        word |= (uint64_t)newest.cycle << 16U;
        word |= (uint64_t)(newest.time_s & 0xFFFFU) << 32U;
    }
    can_queue_put(ID_FAULT_MEMORY, word);
}

static void send_communication(void) {
    const can_rx_rejects *vehicle = can_rx_vehicle_rejects();
    const can_rx_rejects *charger = can_rx_charger_rejects();
    const uint64_t word = can_field(vehicle->corrupt, 16U, 0U) | can_field(vehicle->out_of_sequence, 16U, 16U) |
                          can_field(charger->corrupt, 8U, 32U) | can_field(charger->out_of_sequence, 8U, 40U) |
                          can_field((int64_t)nvm_occurrences(EVENT_CAN_BUS_OFF), 8U, 48U) |
                          ((uint64_t)(nvm_writes() & 0xFFU) << 56U);
    can_queue_put(ID_COMMUNICATION, word);
}

static bool left_out(uint32_t slot) {
    const bool resting = (measured->q[Q_CURRENT_MA] < 1000) && (measured->q[Q_CURRENT_MA] > -1000);
    return (DEFECT(121) && (slot == (uint32_t)SLOT_INFO) && (state_now() == STATE_DRIVE)) ||
           (DEFECT(122) && (slot == (uint32_t)SLOT_ENERGY) && resting) ||
           (DEFECT(123) && (slot == (uint32_t)SLOT_FAULT_MEMORY) && (nvm_newest().kind == (uint8_t)NVM_NO_ENTRY)) ||
           (DEFECT(124) && (slot == (uint32_t)SLOT_COMMUNICATION) && (can_rx_vehicle_rejects()->corrupt == 0U));
}

void can_tx_seldom(uint32_t slot) {
    if (left_out(slot)) {
        return;
    }
    if (slot == (uint32_t)SLOT_INFO) {
        send_info();
    } else if (slot == (uint32_t)SLOT_ENERGY) {
        send_energy();
    } else if (slot == (uint32_t)SLOT_FAULT_MEMORY) {
        send_fault_memory();
    } else if (slot == (uint32_t)SLOT_COMMUNICATION) {
        send_communication();
    } else {
        /* nothing due */
    }
}
