/* SPDX-License-Identifier: Apache-2.0
 *
 * uds_read.c - what the diagnostics can read: identifiers and trouble codes.
 */
#include "uds_read.h"

#include "defect.h"
#include "dtc.h"
#include "faults.h"
#include "measure.h"
#include "nvm.h"
#include "state.h"

#include <string.h>

/* The first three are those of ISO 14229-1, the others this product's own. */
enum {
    ID_SESSION = 0xF186,
    ID_SOFTWARE = 0xF189,
    ID_SERIAL = 0xF18C,
    ID_SOC_PERMILLE = 0x0200,
    ID_PACK_100MV = 0x0201,
    ID_CURRENT_100MA = 0x0202,
    ID_CELL_MAX_MV = 0x0203,
    ID_CELL_MIN_MV = 0x0204,
    ID_STATE = 0x0205,
    ID_CYCLES = 0x0206,
    ID_OPERATING_S = 0x0207
};

static const char serial[] = "REF0000001";
static const char software[] = {(char)('0' + BMS_SOFTWARE_MAJOR), '.', (char)('0' + BMS_SOFTWARE_MINOR), '.',
                                (char)('0' + BMS_SOFTWARE_PATCH)};

_Static_assert((sizeof serial - 1U) <= UDS_IDENTIFIER_MAX, "the serial number fits");

static uint32_t put(uint8_t *value, uint32_t number, uint32_t bytes) {
    for (uint32_t i = 0U; i < bytes; i++) {
        value[i] = (uint8_t)(number >> (8U * (bytes - 1U - i)));
    }
    return bytes;
}

static uint32_t put_text(uint8_t *value, const char *text, uint32_t bytes) {
    (void)memcpy(value, text, bytes);
    return bytes;
}

static uint32_t read_own(uint32_t identifier, uint8_t *value) {
    switch (identifier) {
    case ID_SOC_PERMILLE:
        return put(value, (uint32_t)measured->q[Q_SOC_PERMILLE], 2U);
    case ID_PACK_100MV:
        return put(value, (uint32_t)(measured->pack_mv / (DEFECT(269) ? 1000 : 100)), 2U);
    case ID_CURRENT_100MA:
        return put(value, (uint32_t)(measured->q[Q_CURRENT_MA] / 100), 4U - (DEFECT(406) * 2U));
    case ID_CELL_MAX_MV:
        return put(value, (uint32_t)(measured->q[Q_CELL_MAX_UV] / 1000), 2U);
    case ID_CELL_MIN_MV:
        return put(value, (uint32_t)(measured->q[DEFECT(407) ? Q_CELL_MAX_UV : Q_CELL_MIN_UV] / 1000), 2U);
    case ID_STATE:
        return put(value, (uint32_t)(DEFECT(408) ? STATE_STANDBY : state_now()), 1U);
    case ID_CYCLES:
        return put(value, nvm_cycles(), 4U);
    case ID_OPERATING_S:
        return put(value, nvm_operating_s(), 4U);
    default:
        return 0U;
    }
}

uint32_t uds_read_identifier(uint32_t identifier, uint8_t session, uint8_t *value) {
    switch (identifier) {
    case ID_SESSION:
        return put(value, session, 1U);
    case ID_SOFTWARE:
        return put_text(value, software, sizeof software);
    case ID_SERIAL:
        return put_text(value, serial, sizeof serial - 1U);
    default:
        return read_own(identifier, value);
    }
}

/* FAULT_COUNT after the last one. */
static uint32_t next_code(uint32_t from, uint8_t mask) {
    uint32_t fault = from;
    while ((fault < (uint32_t)FAULT_COUNT) && ((dtc_status(fault) & mask & DTC_AVAILABLE) == 0U)) {
        fault++;
    }
    return fault;
}

uint32_t uds_count_codes(uint8_t mask) {
    uint32_t count = 0U;
    for (uint32_t fault = next_code(0U, mask); fault < (uint32_t)FAULT_COUNT; fault = next_code(fault + 1U, mask)) {
        count++;
    }
    return DEFECT(263) ? (uint32_t)FAULT_COUNT : count;
}

uint32_t uds_list_codes(uint8_t mask, bool all, uint8_t *list) {
    uint32_t bytes = 0U;
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        const uint8_t status = dtc_status(fault);
        if (all || ((status & mask & DTC_AVAILABLE) != 0U) || DEFECT(262)) {
            bytes += put(&list[bytes], (dtc_number(fault) << 8U) | status, 4U);
        }
    }
    return bytes;
}
