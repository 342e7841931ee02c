/* SPDX-License-Identifier: Apache-2.0
 *
 * bms_assert.h - an assertion that failed ends the step; the controller then stays down until it is powered anew.
 */
#ifndef BMS_ASSERT_H
#define BMS_ASSERT_H

#include "bms_config.h"

#define BMS_ASSERT(condition, text)                  \
    do {                                             \
        if (!(condition)) {                          \
            bms_panic(__FILE__, __LINE__, (text));   \
        }                                            \
    } while (false)

/* Never returns to the caller. Implemented by the port. */
void bms_panic(const char *file, int line, const char *text);

#endif
