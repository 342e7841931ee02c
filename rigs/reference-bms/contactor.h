/* SPDX-License-Identifier: Apache-2.0
 *
 * contactor.h - closing with precharge, opening in order, comparison of commands with auxiliary contacts.
 */
#ifndef CONTACTOR_H
#define CONTACTOR_H

#include "bms_io.h"

typedef enum {
    CONTACTORS_OPEN = 0, /* all commanded open, nothing under way */
    CONTACTORS_BUSY,     /* opening, closing, or waiting for the next precharge try */
    CONTACTORS_CLOSED,
    CONTACTORS_FAILED    /* open; the last allowed precharge try failed */
} contactor_result;

void contactor_init(void);

/* Start a closing sequence; the failed tries count anew. */
void contactor_close(uint32_t now_ms);

/* Start the opening sequence: positive (and precharge), then negative. urgent: without waiting for the load. */
void contactor_open(uint32_t now_ms, bool urgent);

/* Put Q_CONTACTOR_*: commands of the step before against the auxiliary contacts read now. */
void contactor_compare(void);

/* Every 10 ms. */
void contactor_step(uint32_t now_ms);

contactor_result contactor_state(void);
bool contactor_commanded(uint32_t index); /* CONTACTOR_* */
uint32_t contactor_failed_tries(void);

#endif
