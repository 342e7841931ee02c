/* SPDX-License-Identifier: Apache-2.0
 *
 * can_bus.c - supervision of the CAN controller: what to do when it is bus-off.
 */
#include "can_bus.h"

#include "defect.h"
#include "measure.h"
#include "nvm.h"
#include "params.h"

#include <string.h>

static struct {
    uint32_t since_ms; /* of the last change of `off`, or of the last restart */
    uint32_t tries;    /* restarts asked for since the bus was stable */
    bool off;
    bool restart;
} bus;

void can_bus_init(uint32_t now_ms) {
    (void)memset(&bus, 0, sizeof bus);
    bus.since_ms = now_ms;
    measure_put(Q_CAN_OFF, 0);
}

/* Ask again when the back-off is over and the controller has not come back, or has lost the bus at once. */
static void wait_or_restart(uint32_t now_ms) {
    const bool fast = bus.tries < (uint32_t)params->bus_off_fast_tries;
    const int32_t wait_ms = fast ? params->bus_off_fast_ms : params->bus_off_slow_ms;
    if (bms_elapsed_ms(now_ms, bus.since_ms) < (uint32_t)wait_ms) {
        return;
    }
    bus.restart = fast || !DEFECT(33);
    bus.since_ms = now_ms;
    bus.tries = fast ? (bus.tries + 1U) : bus.tries;
}

void can_bus_step(uint32_t now_ms, bool bus_off) {
    bus.restart = false;
    if (bus_off != bus.off) {
        bus.off = bus_off;
        bus.since_ms = now_ms;
        if (bus_off) {
            nvm_log(EVENT_CAN_BUS_OFF);
        }
    } else if (bus_off) {
        wait_or_restart(now_ms);
    } else if (bms_elapsed_ms(now_ms, bus.since_ms) >= (uint32_t)params->bus_off_stable_ms) {
        bus.tries = 0U;
    } else {
        /* not stable yet */
    }
    measure_put(Q_CAN_OFF, bus.off ? 1 : 0);
}

bool can_bus_online(void) {
    return !bus.off;
}

bool can_bus_restart(void) {
    return bus.restart;
}

bool can_bus_stable(void) {
    return !bus.off && (bus.tries == 0U);
}
