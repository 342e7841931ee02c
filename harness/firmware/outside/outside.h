/* SPDX-License-Identifier: Apache-2.0
 *
 * outside.h - what the harness puts into the mailbox of a controller that is outside of this process.
 */
#ifndef OUTSIDE_H
#define OUTSIDE_H

#include "fil.h"

/* What the real controller drives, as last read back: FIL_OUT_* bits. Holds until the next call or power-on. */
void outside_drive(uint32_t contactors);

/* A frame of the real controller: the others on the virtual bus hear it in the next tick. There is room for what a bus
 * carries in a tick; of more, which comes when the harness was late, the latest count. */
void outside_frame(const fil_frame *frame);

#endif
