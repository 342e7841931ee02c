/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt_send.c - the messages of the charger. Little endian; 0.1 V, 0.1 A with offset -400 A (charging is negative);
 * bits nobody uses are 1. A message that a fault holds back goes out at once when the fault ends.
 */
#include "gbt.h"

#include <math.h>
#include <string.h>

static const uint64_t MS = 1000000;

typedef struct kind {
    uint32_t id;
    uint8_t length;
    uint16_t period_ms;
} kind;

static const kind KINDS[BH_N_GBT_SENT] = {
    [BH_GBT_CHM] = {0x1826F456, 3, 250}, [BH_GBT_CRM] = {0x1801F456, 8, 250}, [BH_GBT_CTS] = {0x1807F456, 7, 500},
    [BH_GBT_CML] = {0x1808F456, 8, 250}, [BH_GBT_CRO] = {0x100AF456, 1, 250}, [BH_GBT_CCS] = {0x1812F456, 8, 50},
    [BH_GBT_CST] = {0x101AF456, 4, 10},  [BH_GBT_CSD] = {0x181DF456, 8, 250}, [BH_GBT_CEM] = {0x081FF456, 4, 250},
    [BH_GBT_TRANSPORT] = {0, 0, 0},
};

static void put_word(uint8_t *at, double value) {
    const double clipped = value < 0.0 ? 0.0 : value > 65535.0 ? 65535.0 : value;
    const uint32_t raw = (uint32_t)lrint(clipped);
    at[0] = (uint8_t)raw;
    at[1] = (uint8_t)(raw >> 8);
}

static void put_current(uint8_t *at, double charge_a) {
    put_word(at, (400.0 - charge_a) * 10.0);
}

static double offered(bh_faults *faults, int32_t point, double own, uint64_t now_ns) {
    double value = own;
    (void)bh_gbt_bent(faults, point, 0, now_ns, &value);
    return value;
}

static void fill_cml(const bh_gbt *gbt, bh_faults *faults, uint8_t *data, uint64_t now_ns) {
    put_word(&data[0], offered(faults, BH_AT_GBT_CML_MAX_V, gbt->max_v, now_ns) * 10.0);
    put_word(&data[2], offered(faults, BH_AT_GBT_CML_MIN_V, gbt->min_v, now_ns) * 10.0);
    put_current(&data[4], offered(faults, BH_AT_GBT_CML_MAX_A, gbt->max_a, now_ns));
    put_current(&data[6], 0.0);
}

static void fill_bits(uint8_t *data, uint32_t bits, uint32_t unused) {
    for (int i = 0; i < 4; i++) {
        data[i] = (uint8_t)((bits | unused) >> (8 * i));
    }
}

static void fill(bh_gbt *gbt, bh_faults *faults, const bh_truth *truth, int32_t message, uint8_t *data,
                 uint64_t now_ns) {
    static const uint8_t version[3] = {1, 1, 0};
    static const uint8_t noon[7] = {0x00, 0x00, 0x12, 0x01, 0x01, 0x26, 0x20}; /* 2026-01-01 12:00:00, BCD */
    double value = 0.0;
    switch (message) {
    case BH_GBT_CHM: memcpy(data, version, sizeof version); break;
    case BH_GBT_CRM:
        data[0] = gbt->stage == BH_GBT_RECOGNISED ? BH_GBT_YES : 0;
        data[0] = bh_gbt_bent(faults, BH_AT_GBT_CRM_RESULT, 0, now_ns, &value) ? (uint8_t)value : data[0];
        data[1] = 1;
        data[2] = data[3] = data[4] = 0;
        break;
    case BH_GBT_CTS: memcpy(data, noon, sizeof noon); break;
    case BH_GBT_CML: fill_cml(gbt, faults, data, now_ns); break;
    case BH_GBT_CRO:
        data[0] = gbt->adapted ? BH_GBT_YES : 0;
        gbt->cro_ready_ns = gbt->adapted && gbt->cro_ready_ns == 0 ? now_ns : gbt->cro_ready_ns;
        break;
    case BH_GBT_CCS:
        put_word(&data[0], truth->charger_v * 10.0);
        put_current(&data[2], truth->charger_a);
        put_word(&data[4], floor(gbt->charge_s / 60.0));
        data[6] = 0xFD; /* charging permitted */
        break;
    case BH_GBT_CST: fill_bits(data, UINT32_C(1) << (2 * gbt->reason), 0xF0000000U); break;
    case BH_GBT_CSD:
        put_word(&data[0], floor(gbt->charge_s / 60.0));
        put_word(&data[2], gbt->charge_as * truth->pack_v / 3.6e5);
        data[4] = 1;
        data[5] = data[6] = data[7] = 0;
        gbt->csd_left--;
        break;
    case BH_GBT_CEM: fill_bits(data, gbt->late, 0xFCC0F0FCU); break;
    default: break;
    }
}

static void send_due(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, const bh_truth *truth, int32_t message,
                     uint64_t now_ns) {
    double value = 0.0;
    if (now_ns < gbt->due_ns[message] || now_ns < gbt->held_ns[message] ||
        bh_gbt_bent(faults, BH_AT_GBT_SILENT, message, now_ns, &value)) {
        return;
    }
    fil_frame frame = {.id = KINDS[message].id, .flags = FIL_FRAME_EXTENDED, .length = KINDS[message].length};
    memset(frame.data, 0xFF, frame.length);
    fill(gbt, faults, truth, message, frame.data, now_ns);
    (void)bh_bus_queue(buses, &frame, BH_NODE_CHARGER, now_ns);
    if (gbt->begun_ns == UINT64_MAX && message != BH_GBT_CTS) { /* the BMS answers to CML, not to the time of day */
        gbt->begun_ns = now_ns;
    }
    gbt->due_ns[message] = now_ns + KINDS[message].period_ms * MS;
}

void bh_gbt_send(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, const bh_truth *truth, uint64_t now_ns) {
    static const int8_t sent[][2] = {
        [BH_GBT_IDLE] = {-1, -1},
        [BH_GBT_HELLO] = {BH_GBT_CHM, -1},
        [BH_GBT_RECOGNISE] = {BH_GBT_CRM, -1},
        [BH_GBT_RECOGNISED] = {BH_GBT_CRM, -1},
        [BH_GBT_PARAMETERS] = {BH_GBT_CTS, BH_GBT_CML},
        [BH_GBT_READY] = {BH_GBT_CRO, -1},
        [BH_GBT_CHARGE] = {BH_GBT_CCS, -1},
        [BH_GBT_ENDING] = {BH_GBT_CST, -1},
        [BH_GBT_STATISTICS] = {BH_GBT_CSD, -1},
        [BH_GBT_DONE] = {-1, -1},
        [BH_GBT_ERROR] = {BH_GBT_CEM, -1},
        [BH_GBT_LOCKED] = {-1, -1},
    };
    if (gbt->stage == BH_GBT_ERROR && gbt->quiet) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        const int32_t message = sent[gbt->stage][i];
        if (message >= 0) {
            send_due(gbt, buses, faults, truth, message, now_ns);
        }
    }
}
