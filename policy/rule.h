/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policies of every kind in one normal form (docs/POLICY.md says what becomes of which field). A plain
 * value, immutable once it is in a world. Made by policy/read.h; judged by policy/judge.h and compiled
 * by policy/compile.h, which share nothing but this.
 *
 * Kubernetes' NetworkPolicy is a policy of the tier "default" that only allows; its ClusterNetworkPolicy
 * one of the tiers "kube-admin" and "kube-baseline". In each tier, in order, the first rule that matches
 * decides: allow and deny for good, pass for the next tier. A tier whose policies select the pod in the
 * direction and of which no rule matches ends with the tier's own action. Behind the last tier: allowed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/hash.h"
#include "policy/selector.h"

enum policy_direction { POLICY_INGRESS, POLICY_EGRESS, POLICY_DIRECTIONS };
enum policy_action { POLICY_ALLOW, POLICY_DENY, POLICY_PASS, POLICY_LOG /* and goes on */ };
enum policy_kind {	      /* in the order in which people are told of them */
	POLICY_NETWORK,	      /* networking.k8s.io NetworkPolicy */
	POLICY_CLUSTER,	      /* policy.networking.k8s.io ClusterNetworkPolicy */
	POLICY_CALICO,	      /* Calico's NetworkPolicy */
	POLICY_CALICO_GLOBAL, /* Calico's GlobalNetworkPolicy */
	POLICY_KINDS
};

#define POLICY_NAMESPACE 64 /* bytes of a namespace's name with its end; "": cluster-wide */
#define POLICY_NAME 254	    /* of an object's name */
#define POLICY_PORT_NAME 16 /* IANA_SVC_NAME has 15; Kubernetes takes no longer one */
#define POLICY_TIER_DEFAULT "default"
#define POLICY_TIER_ADMIN "kube-admin"
#define POLICY_TIER_BASELINE "kube-baseline"
#define POLICY_ORDER_LAST 1e300 /* of a policy that has none */

/* Ports of one protocol. name: of the destination pod's own port of this name and protocol; else first
 * to last, inclusive, 0 to 65535 for all of them. */
struct policy_port {
	uint8_t proto; /* IPPROTO_*; 0: any protocol, and then all ports */
	uint16_t first, last;
	char name[POLICY_PORT_NAME];
};

struct policy_net { /* less those excepted from it */
	struct cidr net;
	struct cidr *excepts;
	size_t n_excepts;
};

/* What one end of a connection must be; everything said must hold. A pod (or, where has_sets, a network
 * set) of the namespaces that these selectors match; or an address. Zeroed: anybody. A set stands for a pod
 * where own, namespaces or pods is said and nothing of accounts is; a set without a namespace is in none that
 * own or namespaces name, but in global(). not_pods is of all namespaces, and of sets where has_sets. */
struct policy_end {
	bool nobody;			    /* could not be understood: matches nothing */
	char own[POLICY_NAMESPACE];	    /* pods of this namespace; "": see namespaces */
	struct policy_selector *namespaces; /* pods of namespaces with such labels; NULL: of any */
	struct policy_selector *pods;	    /* pods (or sets) with such labels; NULL: not said */
	struct policy_selector *not_pods;   /* no such pod or set; what is none of them matches */
	struct policy_selector
		*accounts;    /* pods whose service account has such labels; NULL: not said */
	char **account_names; /* one of these; n 0: not said */
	size_t n_account_names;
	bool has_sets;		 /* network sets count where pods is said (Calico) */
	struct policy_net *nets; /* in one of these; n 0: not said */
	struct cidr *not_nets;	 /* in none of these */
	size_t n_nets, n_not_nets;
};

struct policy_icmp {
	int16_t type, code; /* -1: any; type -1: nothing is said */
};

struct policy_rule {
	enum policy_action action;
	char name[POLICY_NAME];	  /* of a rule that has one; "" */
	uint8_t family;		  /* AF_INET, AF_INET6; 0: both */
	uint8_t proto, not_proto; /* 0: not said */
	struct policy_icmp icmp, not_icmp;
	struct policy_end *peers; /* the other end is one of these; n 0: anybody */
	struct policy_end self;	  /* the selected pod's end, too (Calico's other side) */
	struct policy_port *ports,
		*not_ports; /* of the destination: one of, none of; n 0: not said */
	struct policy_port *sources, *not_sources; /* of the source, numbers only */
	size_t n_peers, n_ports, n_not_ports, n_sources, n_not_sources;
};

struct policy {
	enum policy_kind kind;
	bool staged;			  /* judged and reported, not enforced */
	char namespace[POLICY_NAMESPACE]; /* it selects pods of it alone; "": see namespaces */
	char name[POLICY_NAME];
	char uid[64]; /* "" */
	char tier[POLICY_NAME];
	double order; /* within the tier, lower first; then by kind, namespace, name */
	struct policy_selector *namespaces, *pods,
		*accounts; /* whom it selects; NULL: not said, all */
	bool applies[POLICY_DIRECTIONS];
	struct policy_rule *rules[POLICY_DIRECTIONS];
	size_t n_rules[POLICY_DIRECTIONS];
	char *problems; /* what of it is not served and what holds instead, a line each; NULL: nothing */
};
void policy_free(struct policy *p);				   /* takes NULL */
void policy_end_done(struct policy_end *e);
void policy_rule_done(struct policy_rule *r);
bool policy_equal(const struct policy *a, const struct policy *b); /* in all that is said */
#define POLICY_TITLE 384
char *policy_title(
	const struct policy *p, char out[POLICY_TITLE]); /* "NetworkPolicy NS/NAME"; out */
#define POLICY_STRING(p) policy_title((p), (char[POLICY_TITLE]){0})

struct policy_tier {
	char name[POLICY_NAME];
	double order;
	enum policy_action end; /* POLICY_DENY or POLICY_PASS */
};
