/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Kubernetes' Services as an agent follows them: watches them while prefixes of services are configured,
 * and slices of endpoints as soon as some service asks where its endpoints are. agent/services/announce.h
 * says what becomes of it.
 */
#include <stdbool.h>

#include "agent/services/table.h"
#include "store/kube/kube.h"

struct services;

struct services *services_new(const char *node);
void services_free(struct services *s); /* takes NULL; its watches end with the client */

/* To be called in each reconciliation: whether services matter here at all. */
void services_want(struct services *s, struct kube *k, bool matter);

/* true: the event is one of ours; *changed: what is announced may be another now. */
bool services_take(struct services *s, const struct kube_event *ev, bool *changed);

/* What is kept of them; borrowed. */
const struct service_table *services_table(const struct services *s);
