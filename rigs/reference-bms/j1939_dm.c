/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_dm.c - diagnostic messages: active (DM1) and previously active (DM2) trouble codes, and their clearing.
 *
 * A code is a suspect parameter (SPN) and a failure mode (FMI). Where a public database tells the SPN of what is wrong
 * it is used; the others are from the range for makers, 520192 and up, in the order of the faults.
 */
#include "j1939_dm.h"

#include "can_queue.h"
#include "defect.h"
#include "dtc.h"
#include "faults.h"
#include "j1939_node.h"
#include "j1939_tp.h"
#include "nvm.h"

#include <string.h>

#define PRIORITY 6U
#define PERIOD_MS 1000U
#define HEAD_BYTES 2U /* lamps */
#define CODE_BYTES 4U
#define MOST_BYTES (HEAD_BYTES + (CODE_BYTES * (uint32_t)FAULT_COUNT))
#define LAMP_RED_STOP 0x10U
#define LAMP_AMBER 0x04U
#define NO_FLASH 0xFFU
#define MOST_OCCURRENCES 126U
#define MAKERS_SPN 520192U

/* Failure modes. */
enum {
    FMI_ABOVE = 0,
    FMI_BELOW = 1,
    FMI_ERRATIC = 2,
    FMI_OPEN = 5,
    FMI_SHORTED = 6,
    FMI_MECHANICAL = 7,
    FMI_UPDATE_RATE = 9,
    FMI_BAD_DEVICE = 12,
    FMI_NETWORK = 19,
    FMI_CONDITION = 31
};

typedef struct {
    uint32_t spn; /* 0: of the makers' range */
    uint8_t fmi;
} trouble;

static const trouble troubles[FAULT_COUNT] = {
    [FAULT_CELL_OVERVOLTAGE] = {5922U, FMI_ABOVE},
    [FAULT_CELL_UNDERVOLTAGE] = {5923U, FMI_BELOW},
    [FAULT_CHARGE_OVERTEMPERATURE] = {0U, FMI_ABOVE},
    [FAULT_CHARGE_UNDERTEMPERATURE] = {0U, FMI_BELOW},
    [FAULT_DISCHARGE_OVERTEMPERATURE] = {0U, FMI_ABOVE},
    [FAULT_DISCHARGE_UNDERTEMPERATURE] = {0U, FMI_BELOW},
    [FAULT_DISCHARGE_OVERCURRENT] = {5920U, FMI_ABOVE},
    [FAULT_CHARGE_OVERCURRENT] = {5920U, FMI_BELOW},
    [FAULT_SHORT_CIRCUIT] = {5920U, FMI_SHORTED},
    [FAULT_CELL_IMBALANCE] = {0U, FMI_ABOVE},
    [FAULT_TEMPERATURE_SPREAD] = {0U, FMI_ABOVE},
    [FAULT_OPEN_SENSE_WIRE] = {0U, FMI_OPEN},
    [FAULT_VOLTAGE_PLAUSIBILITY] = {5919U, FMI_ERRATIC},
    [FAULT_MEASUREMENT_STALE] = {0U, FMI_UPDATE_RATE},
    [FAULT_CELLS_INVALID] = {0U, FMI_BAD_DEVICE},
    [FAULT_TEMPERATURE_SENSOR] = {0U, FMI_BAD_DEVICE},
    [FAULT_CURRENT_SENSOR] = {5920U, FMI_BAD_DEVICE},
    [FAULT_INSULATION] = {0U, FMI_BELOW},
    [FAULT_HVIL] = {0U, FMI_OPEN},
    [FAULT_SUPPLY] = {0U, FMI_ERRATIC},
    [FAULT_VEHICLE_TIMEOUT] = {0U, FMI_NETWORK},
    [FAULT_CHARGER_TIMEOUT] = {0U, FMI_NETWORK},
    [FAULT_PRECHARGE] = {0U, FMI_CONDITION},
    [FAULT_CONTACTOR_WELDED] = {0U, FMI_MECHANICAL},
    [FAULT_CONTACTOR_STUCK] = {0U, FMI_MECHANICAL},
    [FAULT_THERMAL_RUNAWAY] = {0U, FMI_CONDITION},
    [FAULT_CRASH] = {0U, FMI_CONDITION},
    [FAULT_NVM] = {0U, FMI_BAD_DEVICE},
    [FAULT_INTERNAL] = {0U, FMI_BAD_DEVICE},
    [FAULT_LINE_VOLTAGE] = {0U, FMI_ERRATIC},
    [FAULT_CHARGING_PROTOCOL] = {0U, FMI_NETWORK},
    [FAULT_STRING_UNEQUAL] = {0U, FMI_CONDITION},
};

static struct {
    uint32_t told;      /* active codes of the last DM1 */
    uint32_t since_ms;  /* the last DM1 of the cycle */
    uint32_t change_ms; /* the last DM1 beside the cycle */
    bool begun;
    bool changed; /* there has been one */
} dm;

void dm_init(void) {
    (void)memset(&dm, 0, sizeof dm);
}

void dm_silence(void) {
    dm.begun = false;
}

void dm_pass(uint32_t ms) {
    dm.since_ms += ms;
}

/* Faults whose code has all of the bits of `with` and none of `without`. */
static uint32_t codes(uint8_t with, uint8_t without) {
    uint32_t found = 0U;
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        const uint8_t status = dtc_status(fault);
        if (((status & with) == with) && ((status & without) == 0U)) {
            found |= FAULT_BIT(fault);
        }
    }
    return found;
}

static uint32_t active_codes(void) {
    const uint32_t untold = DEFECT(235) ? FAULT_BIT(FAULT_INSULATION) : 0U;
    return codes(DEFECT(243) ? (uint8_t)DTC_CONFIRMED : (uint8_t)DTC_FAILED, 0U) & ~untold;
}

static uint32_t previous_codes(void) {
    const uint8_t with = (uint8_t)DTC_CONFIRMED | (DEFECT(242) ? (uint8_t)DTC_FAILED_THIS_CYCLE : 0U);
    return codes(with, (uint8_t)DTC_FAILED) & (DEFECT(237) ? FAULTS_LATCHING : UINT32_MAX);
}

/* SPN 19 bits, FMI 5, conversion method 0 in the newest format, occurrences 7. */
static void put_code(uint8_t *at, uint32_t fault) {
    const uint32_t spn = (troubles[fault].spn != 0U) ? troubles[fault].spn : (MAKERS_SPN + fault);
    const uint32_t count = nvm_occurrences(fault);
    at[0] = (uint8_t)spn;
    at[1] = (uint8_t)(spn >> 8U);
    at[2] = (uint8_t)(((spn >> 16U) << 5U) | troubles[fault].fmi);
    at[3] = (uint8_t)((count < MOST_OCCURRENCES) ? count : MOST_OCCURRENCES);
}

/* Returns the length. Without a code one of zeros stands for none. */
static uint32_t put_message(uint8_t *data, uint32_t faults) {
    const uint32_t active = active_codes();
    uint32_t length = HEAD_BYTES;
    (void)memset(data, 0, HEAD_BYTES + CODE_BYTES);
    data[0] = (uint8_t)((((active & FAULTS_LATCHING) != 0U) ? LAMP_RED_STOP : 0U) |
                        (((active & ~FAULTS_LATCHING) != 0U) ? LAMP_AMBER : 0U));
    data[1] = NO_FLASH;
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        if ((faults & FAULT_BIT(fault)) != 0U) {
            put_code(&data[length], fault);
            length += CODE_BYTES;
        }
    }
    return (length == HEAD_BYTES) ? (HEAD_BYTES + CODE_BYTES) : length;
}

/* In one frame, or by the transport. Returns false when it cannot be sent now. */
static bool send(uint32_t pgn, uint8_t destination, uint32_t faults) {
    uint8_t data[MOST_BYTES];
    const uint32_t length = put_message(data, faults);
    if (length <= CAN_DATA_BYTES) {
        return j1939_send(pgn, PRIORITY, data, length);
    }
    return j1939_tp_send(pgn, destination, PRIORITY, data, length);
}

void dm_step(uint32_t now_ms) {
    const uint32_t active = active_codes();
    const bool mute = DEFECT(236) && (active == 0U);
    const bool due = !dm.begun || ((bms_elapsed_ms(now_ms, dm.since_ms) >= PERIOD_MS) && !mute);
    const bool change =
        (active != dm.told) && (!dm.changed || (bms_elapsed_ms(now_ms, dm.change_ms) >= PERIOD_MS));
    if ((!due && !change) || j1939_tp_sending(PGN_DM1) ||
        !send(PGN_DM1, J1939_GLOBAL, DEFECT(234) ? (active & (~active + 1U)) : active)) {
        return;
    }
    dm.told = active;
    if (due) {
        dm.since_ms = now_ms;
        dm.begun = true;
    } else {
        dm.change_ms = now_ms;
        dm.changed = true;
    }
}

static void clear_previous(void) {
    const uint32_t previous = previous_codes();
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        if ((previous & FAULT_BIT(fault)) != 0U) {
            dtc_clear(fault);
        }
    }
}

bool dm_request(uint32_t pgn, uint8_t requester) {
    switch (pgn) {
    case PGN_DM1:
        dm.begun = false;
        return true;
    case PGN_DM2:
        (void)send(PGN_DM2, requester, previous_codes());
        return true;
    case PGN_DM3:
        clear_previous();
        break;
    case PGN_DM11:
        if (!DEFECT(238)) {
            dtc_clear_all();
        }
        break;
    default:
        return false;
    }
    j1939_acknowledge(pgn, requester, true);
    return true;
}
