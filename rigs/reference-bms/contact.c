/* SPDX-License-Identifier: Apache-2.0
 *
 * contact.c - contacts that vibration opens again and again, each time too briefly for a fault: sense wires, interlock.
 */
#include "contact.h"

#include "defect.h"
#include "measure.h"
#include "params.h"

#include <string.h>

#define KEPT 16U /* losses remembered: more are not told apart */

static struct {
    uint32_t at_ms[KEPT];
    uint32_t first;
    uint32_t count;
    bool wire_lost;
    bool loop_lost;
} contact;

void contact_init(void) {
    (void)memset(&contact, 0, sizeof contact);
}

static void forget_oldest(void) {
    contact.first = (contact.first + 1U) % KEPT;
    contact.count--;
}

/* A contact that is open and was closed before. */
static void look(bool open, bool *lost, uint32_t now_ms) {
    if (open && !*lost) {
        if (contact.count == KEPT) {
            forget_oldest();
        }
        contact.at_ms[(contact.first + contact.count) % KEPT] = now_ms;
        contact.count++;
    }
    *lost = open;
}

void contact_step(uint32_t now_ms) {
    while ((contact.count > 0U) && !DEFECT(246) &&
           (bms_elapsed_ms(now_ms, contact.at_ms[contact.first]) >= (uint32_t)params->contact_window_ms)) {
        forget_oldest();
    }
    look((measured->q[Q_OPEN_WIRES] > 0) && !DEFECT(245), &contact.wire_lost, now_ms);
    look(measured->q[Q_HVIL_OPEN] != 0, &contact.loop_lost, now_ms);
    measure_put(Q_CONTACT_LOSSES, (int32_t)contact.count / (DEFECT(247) ? 4 : 1));
}

bool contact_pending(void) {
    return contact.count > 0U;
}
