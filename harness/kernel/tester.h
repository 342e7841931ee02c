/* SPDX-License-Identifier: Apache-2.0
 *
 * tester.h - the diagnostic tester's end of ISO 15765-2: it sends requests of any length and lets the DUT send on.
 */
#ifndef BH_TESTER_H
#define BH_TESTER_H

#include "bus.h"
#include "internal.h"

typedef struct bh_tester {
    bh_tester_config config;
    uint8_t message[BH_TESTER_BYTES]; /* under way */
    uint32_t length;
    uint32_t sent;    /* bytes of it */
    uint32_t order;   /* frames of it after the first */
    uint8_t waiting;  /* for a flow control */
    uint8_t asked;    /* an answer is expected: only then it is let to go on */
    uint64_t lost;    /* frames the bus had no room for */
} bh_tester;

/* Send a request of 1..BH_TESTER_BYTES bytes; one still under way is given up. */
void bh_tester_request(bh_tester *tester, bh_buses *buses, const uint8_t *message, uint32_t length, uint64_t now_ns);
/* Send one frame of up to 8 bytes as it is. */
void bh_tester_frame(bh_tester *tester, bh_buses *buses, const uint8_t *bytes, uint32_t length, uint64_t now_ns);

/* A frame of the DUT reached the others. */
void bh_tester_hear(bh_tester *tester, bh_buses *buses, const fil_frame *frame, uint64_t end_ns);

#endif
