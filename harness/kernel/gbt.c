/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt.c - the stages of the charger and what it waits for. Times are those of GB/T 27930-2015 as open code has them;
 * what the standard leaves to the charger is our choice.
 */
#include "gbt.h"

#include <string.h>

static const uint64_t MS = 1000000;

enum {
    OFFER_MS = 500,      /* from the plug to the first CHM: choice */
    INSULATION_MS = 500, /* its insulation test: choice */
    HELLO_MS = 5000,
    BRM_MS = 5000,
    BCP_MS = 5000,
    BRO_MS = 5000,
    BRO_READY_MS = 60000,
    ADAPT_MS = 500, /* to bring its output to the voltage of the pack: choice */
    BCL_MS = 1000,
    BCS_MS = 5000,
    BST_MS = 5000,
    BSD_MS = 10000,
    ERROR_MS = 5000,
    AGAIN_MS = 3000, /* it offers itself anew: choice */
    RESTARTS = 3,
    CSD_TIMES = 10
};

/* Bit positions of the two-bit fields of CEM. */
enum { LATE_BRM = 0, LATE_BCP = 8, LATE_BRO = 10, LATE_BCS = 16, LATE_BCL = 18, LATE_BST = 20, LATE_BSD = 24 };

void bh_gbt_create(bh_gbt *gbt, const bh_environment_config *config) {
    gbt->speaks = config->charger_protocol == BH_PROTOCOL_GBT_27930;
    gbt->max_v = config->charger_max_v;
    gbt->min_v = config->charger_min_v;
    gbt->max_a = config->charger_max_a;
}

int bh_gbt_bent(bh_faults *faults, int32_t point, int32_t index, uint64_t now_ns, double *value) {
    int bent = 0;
    for (int32_t i = 0; faults->n_gbt_faults > 0 && i < faults->n; i++) {
        const bh_fault *fault = &faults->plan[i];
        if (fault->point == point && (fault->index < 0 || fault->index == index) &&
            bh_fault_strength(fault, now_ns) > 0.0) {
            faults->report[i].active_ticks++;
            bh_fault_fired(&faults->report[i], now_ns);
            *value = fault->value;
            bent = 1;
        }
    }
    return bent;
}

/* ---- stages ---------------------------------------------------------------------------------------------------- */

/* Stages in which the BMS answers to something; in the others time counts from their start. */
static int speaks_first(bh_gbt_stage stage) {
    return stage == BH_GBT_HELLO || stage == BH_GBT_RECOGNISE || stage == BH_GBT_RECOGNISED ||
           stage == BH_GBT_PARAMETERS || stage == BH_GBT_ENDING;
}

void bh_gbt_enter(bh_gbt *gbt, bh_faults *faults, bh_gbt_stage stage, uint64_t now_ns) {
    gbt->stage = (int32_t)stage;
    gbt->since_ns = now_ns;
    gbt->begun_ns = speaks_first(stage) ? UINT64_MAX : now_ns;
    for (int32_t i = 0; i < BH_N_GBT_SENT; i++) {
        double late_s = 0.0;
        const int bent = bh_gbt_bent(faults, BH_AT_GBT_LATE_S, i, now_ns, &late_s);
        gbt->due_ns[i] = now_ns;
        gbt->held_ns[i] = bent ? now_ns + (uint64_t)(late_s * 1e9) : 0;
    }
    if (stage == BH_GBT_HELLO || stage == BH_GBT_RECOGNISE) { /* what came before was of another session */
        memset(gbt->heard_ns, 0, sizeof gbt->heard_ns);
        gbt->bro_ready_ns = 0;
        gbt->cro_ready_ns = 0;
        gbt->adapted = 0;
        gbt->receiver.pgn = 0;
        gbt->quiet = 0;
        gbt->demand_a = 0.0;
        gbt->charge_as = 0.0;
        gbt->charge_s = 0.0;
    }
}

static int elapsed(const bh_gbt *gbt, uint64_t now_ns, uint64_t since_ns, int32_t limit_ms) {
    const uint64_t begin_ns = since_ns > gbt->begun_ns ? since_ns : gbt->begun_ns;
    return begin_ns != UINT64_MAX && now_ns >= begin_ns + (uint64_t)limit_ms * MS;
}

static void fail(bh_gbt *gbt, bh_faults *faults, uint32_t field, uint64_t now_ns) {
    gbt->late = UINT32_C(1) << field;
    gbt->quiet = 0;
    bh_gbt_enter(gbt, faults, BH_GBT_ERROR, now_ns);
}

/* Wait for a message of the BMS that was not heard since the session began. */
static int waits(bh_gbt *gbt, bh_faults *faults, int32_t message, int32_t limit_ms, uint32_t field, uint64_t now_ns) {
    if (gbt->heard_ns[message] != 0) {
        return 0;
    }
    if (elapsed(gbt, now_ns, 0, limit_ms)) {
        fail(gbt, faults, field, now_ns);
    }
    return 1;
}

/* A message that has to come again and again. */
static int silent(bh_gbt *gbt, bh_faults *faults, int32_t message, int32_t limit_ms, uint32_t field, uint64_t now_ns) {
    if (!elapsed(gbt, now_ns, gbt->heard_ns[message], limit_ms)) {
        return 0;
    }
    fail(gbt, faults, field, now_ns);
    return 1;
}

static void step_hello(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    const int answered = gbt->heard_ns[BH_GBT_BHM] != 0 && elapsed(gbt, now_ns, gbt->heard_ns[BH_GBT_BHM], 0);
    if ((answered && elapsed(gbt, now_ns, 0, INSULATION_MS)) || elapsed(gbt, now_ns, 0, HELLO_MS)) {
        bh_gbt_enter(gbt, faults, BH_GBT_RECOGNISE, now_ns);
    }
}

static void step_parameters(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (waits(gbt, faults, BH_GBT_BRO, BRO_MS, LATE_BRO, now_ns)) {
        return;
    }
    if (gbt->bro_ready_ns != 0) {
        bh_gbt_enter(gbt, faults, BH_GBT_READY, now_ns);
    } else if (elapsed(gbt, now_ns, 0, BRO_READY_MS)) {
        fail(gbt, faults, LATE_BRO, now_ns);
    }
}

static void step_ready(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (gbt->heard_ns[BH_GBT_BCL] != 0) {
        bh_gbt_enter(gbt, faults, BH_GBT_CHARGE, now_ns);
    } else if (!gbt->adapted) {
        if (elapsed(gbt, now_ns, 0, ADAPT_MS)) {
            gbt->adapted = 1;
            gbt->due_ns[BH_GBT_CRO] = now_ns; /* the good news at once */
        }
    } else if (gbt->cro_ready_ns != 0 && elapsed(gbt, now_ns, gbt->cro_ready_ns, BCL_MS)) {
        fail(gbt, faults, LATE_BCL, now_ns);
    }
}

static void end(bh_gbt *gbt, bh_faults *faults, uint8_t reason, uint64_t now_ns) {
    gbt->reason = reason;
    bh_gbt_enter(gbt, faults, BH_GBT_ENDING, now_ns);
}

static void step_charge(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (!silent(gbt, faults, BH_GBT_BCL, BCL_MS, LATE_BCL, now_ns)) {
        (void)silent(gbt, faults, BH_GBT_BCS, BCS_MS, LATE_BCS, now_ns);
    }
}

static void step_ending(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (gbt->heard_ns[BH_GBT_BSD] != 0) {
        gbt->csd_left = CSD_TIMES;
        bh_gbt_enter(gbt, faults, BH_GBT_STATISTICS, now_ns);
    } else if (!waits(gbt, faults, BH_GBT_BST, BST_MS, LATE_BST, now_ns)) {
        (void)waits(gbt, faults, BH_GBT_BSD, BSD_MS, LATE_BSD, now_ns);
    }
}

static void step_error(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (elapsed(gbt, now_ns, 0, ERROR_MS)) {
        double value = 0.0;
        const int again =
            gbt->restarts < RESTARTS || bh_gbt_bent(faults, BH_AT_GBT_PERSISTS, 0, now_ns, &value);
        gbt->restarts += again;
        bh_gbt_enter(gbt, faults, again ? BH_GBT_HELLO : BH_GBT_LOCKED, now_ns);
    }
}

static void step_stage(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    if (gbt->heard_ns[BH_GBT_BST] != 0 && gbt->stage >= BH_GBT_RECOGNISE && gbt->stage <= BH_GBT_CHARGE) {
        end(gbt, faults, BH_GBT_STOP_BMS, now_ns);
        return;
    }
    switch (gbt->stage) {
    case BH_GBT_IDLE:
        if (elapsed(gbt, now_ns, 0, OFFER_MS)) {
            bh_gbt_enter(gbt, faults, BH_GBT_HELLO, now_ns);
        }
        break;
    case BH_GBT_HELLO: step_hello(gbt, faults, now_ns); break;
    case BH_GBT_RECOGNISE:
        if (!waits(gbt, faults, BH_GBT_BRM, BRM_MS, LATE_BRM, now_ns)) {
            bh_gbt_enter(gbt, faults, BH_GBT_RECOGNISED, now_ns);
        }
        break;
    case BH_GBT_RECOGNISED:
        if (!waits(gbt, faults, BH_GBT_BCP, BCP_MS, LATE_BCP, now_ns)) {
            bh_gbt_enter(gbt, faults, BH_GBT_PARAMETERS, now_ns);
        }
        break;
    case BH_GBT_PARAMETERS: step_parameters(gbt, faults, now_ns); break;
    case BH_GBT_READY: step_ready(gbt, faults, now_ns); break;
    case BH_GBT_CHARGE: step_charge(gbt, faults, now_ns); break;
    case BH_GBT_ENDING: step_ending(gbt, faults, now_ns); break;
    case BH_GBT_STATISTICS:
        if (gbt->csd_left <= 0) {
            bh_gbt_enter(gbt, faults, BH_GBT_DONE, now_ns);
        }
        break;
    case BH_GBT_DONE:
        if (elapsed(gbt, now_ns, 0, AGAIN_MS)) {
            bh_gbt_enter(gbt, faults, BH_GBT_HELLO, now_ns);
        }
        break;
    case BH_GBT_ERROR: step_error(gbt, faults, now_ns); break;
    default: break;
    }
}

/* What faults order it to do: each once, as long as the fault lasts. */
static void obey(bh_gbt *gbt, bh_faults *faults, uint64_t now_ns) {
    double value = 0.0;
    const int charging = gbt->stage >= BH_GBT_RECOGNISE && gbt->stage <= BH_GBT_CHARGE;
    if (faults->n_gbt_faults == 0 || !charging) {
        return;
    }
    if (bh_gbt_bent(faults, BH_AT_GBT_STOP, 0, now_ns, &value)) {
        if (!gbt->told && gbt->stage >= BH_GBT_PARAMETERS) {
            gbt->told = 1;
            end(gbt, faults, (uint8_t)value, now_ns);
        }
    } else if (bh_gbt_bent(faults, BH_AT_GBT_ERROR, 0, now_ns, &value)) {
        if (!gbt->told) {
            gbt->told = 1;
            fail(gbt, faults, LATE_BCS, now_ns);
        }
    } else if (bh_gbt_bent(faults, BH_AT_GBT_AGAIN, 0, now_ns, &value)) {
        if (!gbt->told && gbt->stage >= BH_GBT_PARAMETERS) {
            gbt->told = 1;
            bh_gbt_enter(gbt, faults, BH_GBT_HELLO, now_ns);
        }
    } else {
        gbt->told = 0;
    }
}

void bh_gbt_step(bh_gbt *gbt, bh_buses *buses, bh_faults *faults, const bh_truth *truth, int plug, uint64_t now_ns) {
    if (!gbt->speaks) {
        return;
    }
    if (!plug) {
        gbt->stage = BH_GBT_IDLE;
        gbt->since_ns = now_ns;
        gbt->begun_ns = now_ns;
        gbt->last_ns = now_ns;
        gbt->restarts = 0;
        gbt->told = 0;
        return;
    }
    obey(gbt, faults, now_ns);
    step_stage(gbt, faults, now_ns);
    bh_gbt_tp_send(gbt, buses, faults, now_ns);
    bh_gbt_send(gbt, buses, faults, truth, now_ns);
    if (gbt->stage == BH_GBT_CHARGE) {
        gbt->charge_as += truth->charger_a * (double)(now_ns - gbt->last_ns) * 1e-9;
        gbt->charge_s += (double)(now_ns - gbt->last_ns) * 1e-9;
    }
    gbt->last_ns = now_ns;
}

void bh_gbt_orders(bh_gbt *gbt, bh_faults *faults, bh_heard *heard, uint64_t now_ns) {
    double extra = 0.0;
    heard->charger_speaks = gbt->speaks;
    if (!gbt->speaks) {
        return;
    }
    heard->charger_on = gbt->stage == BH_GBT_CHARGE;
    heard->charger_a = gbt->demand_a;
    heard->charger_v = gbt->demand_v;
    if (heard->charger_on && bh_gbt_bent(faults, BH_AT_GBT_EXTRA_A, 0, now_ns, &extra)) {
        heard->charger_a += extra;
    }
    if (heard->charger_on && bh_gbt_bent(faults, BH_AT_GBT_EXTRA_V, 0, now_ns, &extra)) {
        heard->charger_v += extra;
    }
}

/* ---- hearing --------------------------------------------------------------------------------------------------- */

static double word(const uint8_t *data) {
    return (double)((uint32_t)data[0] | (uint32_t)data[1] << 8);
}

static void take(bh_gbt *gbt, int32_t message, const uint8_t *data, uint32_t length, uint64_t end_ns) {
    gbt->heard_ns[message] = end_ns;
    if (message == BH_GBT_BCL && length >= 4) {
        gbt->demand_v = word(&data[0]) * 0.1;
        gbt->demand_a = 400.0 - word(&data[2]) * 0.1;
    } else if (message == BH_GBT_BRO && data[0] == BH_GBT_YES) {
        gbt->bro_ready_ns = end_ns;
    }
}

int32_t bh_gbt_index_of(uint32_t pgn) {
    static const uint32_t pgns[BH_N_GBT_HEARD] = {0x2700, 0x0200, 0x0600, 0x0900, 0x1000,
                                                  0x1100, 0x1300, 0x1900, 0x1C00, 0x1E00};
    for (int32_t i = 0; i < BH_N_GBT_HEARD; i++) {
        if (pgns[i] == pgn) {
            return i;
        }
    }
    return -1;
}

void bh_gbt_hear(bh_gbt *gbt, bh_faults *faults, const fil_frame *frame, uint64_t end_ns) {
    const uint32_t format = frame->id >> 16 & 0xFF;
    double value = 0.0;
    if (!gbt->speaks || (frame->flags & FIL_FRAME_EXTENDED) == 0 || (frame->id & 0xFF) != BH_GBT_BMS_ADDRESS ||
        (frame->id >> 8 & 0xFF) != BH_GBT_CHARGER_ADDRESS || gbt->stage == BH_GBT_IDLE) {
        return;
    }
    const int packed = format == 0xEC || format == 0xEB;
    const uint32_t pgn = packed ? bh_gbt_tp_hear(gbt, faults, frame, end_ns) : frame->id >> 8 & 0x3FF00;
    const int32_t message = pgn != 0 ? bh_gbt_index_of(pgn) : -1;
    if (message < 0 || (!packed && bh_gbt_bent(faults, BH_AT_GBT_DEAF, message, end_ns, &value))) {
        return;
    }
    if (packed) {
        take(gbt, message, gbt->receiver.data, gbt->receiver.length, end_ns);
    } else {
        take(gbt, message, frame->data, frame->length, end_ns);
    }
    if (message == BH_GBT_BEM && gbt->stage >= BH_GBT_RECOGNISE && gbt->stage <= BH_GBT_STATISTICS) {
        bh_gbt_enter(gbt, faults, BH_GBT_ERROR, end_ns);
        gbt->quiet = 1;
    }
}
