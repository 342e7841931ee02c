/* SPDX-License-Identifier: Apache-2.0
 *
 * contactor.c - closing with precharge, opening in order, comparison of commands with auxiliary contacts.
 *
 * Closing: negative, precharge, wait until the link has the voltage of the pack, positive, precharge off.
 */
#include "contactor.h"

#include "bms_assert.h"
#include "defect.h"
#include "measure.h"
#include "parallel.h"
#include "params.h"

#include <string.h>

typedef enum {
    PHASE_OPEN = 0,
    PHASE_NEGATIVE,
    PHASE_PRECHARGE,
    PHASE_POSITIVE,
    PHASE_CLOSED,
    PHASE_OPENING,
    PHASE_COOLING, /* the precharge resistor, after a failed try */
    PHASE_FAILED
} contactor_phase;

static struct {
    contactor_phase phase;
    contactor_phase after_opening;
    uint32_t since_ms; /* start of the phase */
    int32_t positive_delay_ms;
    int32_t negative_delay_ms;
    int32_t link_before_mv; /* before the negative contactor closed */
    uint32_t failed_tries;
    bool command[CONTACTOR_COUNT];
} contactor;

void contactor_init(void) {
    (void)memset(&contactor, 0, sizeof contactor);
}

static void enter(contactor_phase phase, uint32_t now_ms) {
    contactor.phase = phase;
    contactor.since_ms = now_ms;
}

static void start_try(uint32_t now_ms) {
    contactor.link_before_mv = measured->link_mv;
    contactor.command[CONTACTOR_NEGATIVE] = true;
    enter(PHASE_NEGATIVE, now_ms);
}

void contactor_close(uint32_t now_ms) {
    BMS_ASSERT((contactor.phase == PHASE_OPEN) || (contactor.phase == PHASE_FAILED), "closing before all is open");
    contactor.failed_tries = 0U;
    start_try(now_ms);
}

static void start_opening(uint32_t now_ms, bool urgent, contactor_phase afterwards) {
    const int32_t lead_ms = urgent ? params->open_positive_ms : 0;
    contactor.positive_delay_ms = params->open_positive_ms - lead_ms;
    contactor.negative_delay_ms = bms_max(params->open_negative_ms - lead_ms, 0);
    contactor.after_opening = afterwards;
    enter(PHASE_OPENING, now_ms);
}

void contactor_open(uint32_t now_ms, bool urgent) {
    switch (contactor.phase) {
    case PHASE_OPEN:
        break;
    case PHASE_COOLING:
    case PHASE_FAILED:
        enter(PHASE_OPEN, now_ms);
        break;
    case PHASE_OPENING:
        contactor.after_opening = PHASE_OPEN;
        if (urgent) {
            contactor.positive_delay_ms = 0;
        }
        break;
    default:
        if (DEFECT(60) && (contactor.phase == PHASE_PRECHARGE)) {
            break;
        }
        start_opening(now_ms, urgent, PHASE_OPEN);
        break;
    }
}

/* The pack voltage may be relied on: flagged valid, and the cell sum agrees. */
static bool pack_trusted(void) {
    const bool known = (measured->known & Q_BIT(Q_MISMATCH_MV)) != 0U;
    return measured->pack_valid && known && (measured->q[Q_MISMATCH_MV] <= params->plausibility_mv);
}

static bool link_follows_pack(void) {
    const int32_t goal_mv = DEFECT(40) ? measured->link_mv : measured->pack_mv;
    const int64_t difference = (int64_t)measured->link_mv - (int64_t)goal_mv;
    const int64_t band = ((int64_t)measured->pack_mv * params->precharge_band_permille) / 1000;
    return measured->link_valid && pack_trusted() && strings_equal() && (difference <= band) && (difference >= -band);
}

/* With the negative contactor alone no current has a way to the link: a link that rises tells of a welded one. */
static bool link_rose_early(void) {
    const int64_t rise = (int64_t)measured->link_mv - (int64_t)contactor.link_before_mv;
    return (rise * 1000) > ((int64_t)measured->pack_mv * params->weld_link_permille);
}

static void fail_try(uint32_t now_ms) {
    contactor.failed_tries += DEFECT(59) ? 0U : 1U;
    const bool last = contactor.failed_tries >= (uint32_t)params->precharge_tries;
    start_opening(now_ms, false, last ? PHASE_FAILED : PHASE_COOLING);
}

static void step_negative(uint32_t now_ms, int32_t elapsed_ms) {
    if ((elapsed_ms < params->close_settle_ms) || !measured->aux_closed[CONTACTOR_NEGATIVE]) {
        return;
    }
    if (link_rose_early()) {
        fail_try(now_ms);
        return;
    }
    contactor.command[CONTACTOR_PRECHARGE] = true;
    enter(PHASE_PRECHARGE, now_ms);
}

static void step_precharge(uint32_t now_ms, int32_t elapsed_ms) {
    if ((elapsed_ms >= params->precharge_min_ms) && link_follows_pack()) {
        if (DEFECT(94) && contactor.command[CONTACTOR_PRECHARGE]) {
            contactor.command[CONTACTOR_PRECHARGE] = false;
            contactor.since_ms = now_ms;
            return;
        }
        contactor.command[CONTACTOR_POSITIVE] = true;
        enter(PHASE_POSITIVE, now_ms);
    } else if ((elapsed_ms >= params->precharge_timeout_ms) && !DEFECT(39)) {
        fail_try(now_ms);
    } else {
        /* still charging */
    }
}

static void step_positive(uint32_t now_ms, int32_t elapsed_ms) {
    if ((elapsed_ms >= params->close_settle_ms) && measured->aux_closed[CONTACTOR_POSITIVE]) {
        contactor.command[CONTACTOR_PRECHARGE] = false;
        enter(PHASE_CLOSED, now_ms);
    }
}

static void step_opening(uint32_t now_ms, int32_t elapsed_ms) {
    if (elapsed_ms >= contactor.positive_delay_ms) {
        contactor.command[DEFECT(38) ? CONTACTOR_NEGATIVE : CONTACTOR_POSITIVE] = false;
        contactor.command[CONTACTOR_PRECHARGE] = false;
    }
    if (elapsed_ms >= (contactor.negative_delay_ms + (DEFECT(4) ? 2000 : 0))) {
        contactor.command[DEFECT(38) ? CONTACTOR_POSITIVE : CONTACTOR_NEGATIVE] = false;
        enter(contactor.after_opening, now_ms);
    }
}

void contactor_step(uint32_t now_ms) {
    const int32_t elapsed_ms = (int32_t)bms_elapsed_ms(now_ms, contactor.since_ms);
    switch (contactor.phase) {
    case PHASE_NEGATIVE:
        step_negative(now_ms, elapsed_ms);
        break;
    case PHASE_PRECHARGE:
        step_precharge(now_ms, elapsed_ms);
        break;
    case PHASE_POSITIVE:
        step_positive(now_ms, elapsed_ms);
        break;
    case PHASE_OPENING:
        step_opening(now_ms, elapsed_ms);
        break;
    case PHASE_COOLING:
        if (elapsed_ms >= params->precharge_wait_ms) {
            start_try(now_ms);
        }
        break;
    default:
        break; /* open, closed, failed: nothing moves by itself */
    }
}

void contactor_compare(void) {
    const uint32_t compared = DEFECT(85) ? (uint32_t)CONTACTOR_PRECHARGE : (uint32_t)CONTACTOR_COUNT;
    for (uint32_t i = 0U; i < compared; i++) {
        const int32_t closed = measured->aux_closed[i] ? 1 : 0;
        const int32_t commanded = contactor.command[i] ? 1 : 0;
        const bool unwatched = DEFECT(37) && (i == (uint32_t)CONTACTOR_NEGATIVE) && (closed > commanded);
        measure_put((uint32_t)Q_CONTACTOR_POSITIVE + i, unwatched ? 0 : (closed - commanded));
    }
}

contactor_result contactor_state(void) {
    switch (contactor.phase) {
    case PHASE_OPEN:
        return CONTACTORS_OPEN;
    case PHASE_CLOSED:
        return CONTACTORS_CLOSED;
    case PHASE_FAILED:
        return CONTACTORS_FAILED;
    default:
        return CONTACTORS_BUSY;
    }
}

bool contactor_commanded(uint32_t index) {
    BMS_ASSERT(index < (uint32_t)CONTACTOR_COUNT, "contactor out of range");
    return contactor.command[index];
}

uint32_t contactor_failed_tries(void) {
    return contactor.failed_tries;
}
