/* SPDX-License-Identifier: Apache-2.0
 *
 * seeded_count.c - seeded defects in how charge is counted.
 */
#include "seeded_count.h"

#include "defect.h"
#include "state.h"

static bool read_back;

void seeded_count_init(bool kept) {
    read_back = kept;
}

int64_t seeded_count(int64_t portion) {
    if (DEFECT(450) && (portion < 0)) {
        return -portion;
    }
    if (DEFECT(451)) {
        return portion + (portion / 20);
    }
    const bool charging = (portion < 0) && (state_now() == STATE_CHARGE);
    return ((DEFECT(452) && charging) || (DEFECT(455) && read_back)) ? 0 : portion;
}
