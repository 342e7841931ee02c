/* SPDX-License-Identifier: Apache-2.0
 *
 * hvess.c - the battery as a high-voltage energy storage system of J1939. Layout: dbc/working-machine.dbc.
 */
#include "hvess.h"

#include "can_queue.h"
#include "contactor.h"
#include "defect.h"
#include "faults.h"
#include "j1939_node.h"
#include "limits.h"
#include "measure.h"
#include "state.h"

#define PGN_HVESSD1 0xF090U
#define PGN_HVESSD2 0xF091U
#define PGN_HVESSD3 0xF092U
#define PGN_HVESSS1 0xF096U
#define PRIORITY 3U
#define HIGHEST 0xFAFFU /* of a 16-bit value */
#define ERROR 0xFEFFU   /* there is none */
#define MW 1000000LL
#define ZERO_MDEGC (-273000)
#define ABSENT 0xFFFFFFFFFFFFFFFFULL

static bool known(uint32_t quantity) {
    return (measured->known & Q_BIT(quantity)) != 0U;
}

/* 16 bits at a byte position; ERROR for what is not known. */
static uint64_t word_at(int64_t value, bool valid, uint32_t shift) {
    const int64_t clamped = (value < 0) ? 0 : ((value > (int64_t)HIGHEST) ? (int64_t)HIGHEST : value);
    return (valid ? (uint64_t)clamped : (uint64_t)ERROR) << shift;
}

/* Bits that no value is put into are 1. */
static void send(uint32_t pgn, uint64_t word, uint64_t used) {
    uint8_t data[CAN_DATA_BYTES];
    const uint64_t whole = word | (ABSENT & ~used);
    for (uint32_t i = 0U; i < CAN_DATA_BYTES; i++) {
        data[i] = (uint8_t)(whole >> (8U * i));
    }
    (void)j1939_send(pgn, PRIORITY, data, sizeof data);
}

/* Power in 0.05 kW, rounded down. */
static int64_t power(int32_t current_ma) {
    return (((int64_t)current_ma * measured->pack_mv) / MW) / 50;
}

static void send_d1(void) {
    uint64_t word = word_at(power(limits_discharge_ma()), measured->pack_valid, 0U);
    word |= word_at(power(limits_charge_ma()), measured->pack_valid, 16U);
    word |= word_at(can_round(measured->pack_mv, 50), measured->pack_valid, 32U);
    word |= word_at(can_round((int64_t)measured->q[Q_CURRENT_MA] + (DEFECT(239) ? 0 : 1600000), 50),
                    measured->q[Q_CURRENT_INVALID] == 0, 48U);
    send(PGN_HVESSD1, word, ABSENT);
}

static void send_d2(void) {
    uint64_t word = word_at(((int64_t)measured->q[Q_SOC_PERMILLE] * 64), known(Q_SOC_PERMILLE), 0U);
    word |= word_at(can_round(measured->q[Q_CELL_MAX_UV], 1000), known(Q_CELL_MAX_UV), 16U);
    word |= word_at(can_round(measured->q[DEFECT(240) ? Q_CELL_MAX_UV : Q_CELL_MIN_UV], 1000), known(Q_CELL_MIN_UV),
                    32U);
    send(PGN_HVESSD2, word, 0x0000FFFFFFFFFFFFULL);
}

/* 1/32 K from absolute zero. */
static int64_t temperature(int32_t mdegc) {
    return can_round(((int64_t)mdegc - (DEFECT(241) ? 0 : ZERO_MDEGC)) * 32, 1000);
}

static void send_d3(void) {
    uint64_t word = word_at(temperature(measured->q[Q_TEMP_MAX_MDEGC]), known(Q_TEMP_MAX_MDEGC), 0U);
    word |= word_at(temperature(measured->q[Q_TEMP_MIN_MDEGC]), known(Q_TEMP_MIN_MDEGC), 16U);
    send(PGN_HVESSD3, word, 0x00000000FFFFFFFFULL);
}

/* Bus connection: 0 not connected, 1 connected, 2 precharging, 3 about to open. */
static uint64_t connection(void) {
    switch (contactor_state()) {
    case CONTACTORS_CLOSED:
        return 1U;
    case CONTACTORS_BUSY:
        return (state_now() == STATE_PRECHARGE) ? 2U : 3U;
    default:
        return 0U;
    }
}

static void send_s1(void) {
    const uint64_t status = (faults_active() != 0U) ? 6U : 2U; /* faulted, or in order */
    const uint64_t word = can_flag(measured->q[Q_HVIL_OPEN] == 0, 20U) | (connection() << 40U) | (status << 44U);
    send(PGN_HVESSS1, word, 0x0000FF0000300000ULL);
}

void hvess_step(uint32_t slot) {
    switch (slot % BMS_FAST_PER_SLOW) {
    case 0U:
        send_s1();
        break;
    case 1U:
        send_d1();
        break;
    case 2U:
        send_d2();
        break;
    case 3U:
        send_d3();
        break;
    default:
        break;
    }
}
