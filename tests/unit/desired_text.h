/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A desired state as text, for golden folders.
 */
#include "agent/desired/desired.h"

/* The whole value; the caller frees it. */
char *desired_text(const struct desired *d);
