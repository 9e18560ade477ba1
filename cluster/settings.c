/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the texts of the settings must look like. To add a setting: a field in struct agent_conf,
 * its default here, a row in a table of cluster/agent_conf.c, a line in docs/AGENT.md.
 *
 * Paths are absolute, as an agent has no folder of its own, and hold nothing that has a meaning in
 * BIRD's language or as a pattern: some of them are written into its configuration.
 */
#include "cluster/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/status.h"
#include "lib/text.h"
#include "store/store.h"

#define SOCKET_MAX 107 /* bytes of a socket's path (struct sockaddr_un) */
#define DEVICE_MAX 14  /* the IPv6 one has a "6" appended */

const struct agent_conf setting_defaults = {
	.store.prefix = "/roost/",
	.data_dir = "/var/lib/roost",
	.socket = "/run/roost/agent.sock",
	.detect[IPV4] = {.method = DETECT_FIRST_FOUND, .text = "first-found", .is_default = true},
	.detect[IPV6] = {.method = DETECT_NONE, .text = "none", .is_default = true},
	.bird_file = "/run/roost/bird.conf",
	.bird_socket = "/run/bird/bird.ctl",
	.bird_include = "/etc/bird/roost.d",
	.bird_group = "bird",
	.conflist_template = "/etc/roost/10-roost.conflist",
	.headroom = 16,
	.idle_block_s = 300,
	.deleted_node_s = 900,
	.leaked_address_s = 600,
	.vxlan_port = 4789,
	.vxlan_vni = 4096,
	.vxlan_device = "vxlan.roost",
	.vxlan_offload = true,
	.exits_table = 8266,
	.policy = {.cuts = true, .logs_denied = true, .events = true, .cut_mark = 0x00080000},
	.log_level = LOG_LEVEL_INFO,
};

static int copy_setting(const char *s, void *field, size_t size, struct err *e)
{
	return text_copy(field, size, s)
		       ? 0
		       : err_set(e, EINVAL, "\"%.60s...\" has more than %zu bytes", s, size - 1);
}

static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\", *s))
			return false;
	return true;
}

static int check_path(const char *s, struct err *e)
{
	if (*s != '/')
		return err_set(e, EINVAL, "\"%.60s\" is not an absolute path", s);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || strchr("\"\\*?[", *p))
			return err_set(e, EINVAL,
				"\"%.60s\" has a character that a path here must not have", s);
	return 0;
}

int setting_node(const char *s, void *field, size_t size, struct err *e)
{
	if (!text_is_dns_name(s))
		return err_set(e, EINVAL,
			"\"%.60s\" is no name of a node: lower case letters, digits, - and .", s);
	return copy_setting(s, field, size, e);
}

const char *setting_kubeconfig(const char *url)
{
	static const char *const schemes[] = {"kube:", "kube-podcidr:"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			return url + strlen(schemes[i]);
	return NULL;
}

int setting_store(const char *s, void *field, size_t size, struct err *e)
{
	int r = 0;
	char shown[STORE_SHOWN];
	const char *config = setting_kubeconfig(s);
	if (strncmp(s, "file:", 5) == 0)
		r = check_path(s + 5, e);
	else if (config)
		r = *config ? check_path(config, e) : 0;
	else if (strncmp(s, "etcd:http", 9) != 0 || !is_plain(s))
		r = err_set(e, EINVAL,
			"\"%.60s\" is neither file:PATH, etcd:URL[,URL...], kube:[KUBECONFIG] nor "
			"kube-podcidr:[KUBECONFIG]",
			store_show_url(s, shown));
	return r < 0 ? r : copy_setting(s, field, size, e);
}

int setting_kubernetes(const char *s, void *field, size_t size, struct err *e)
{
	if (strcmp(s, "in-cluster") == 0 || strcmp(s, "none") == 0)
		return copy_setting(s, field, size, e);
	if (*s != '/')
		return err_set(e, EINVAL,
			"\"%.60s\" is neither in-cluster, none, nor the path of a kubeconfig", s);
	return setting_path(s, field, size, e);
}

int setting_kubernetes_server(const char *s, void *field, size_t size, struct err *e)
{
	const char *host = s + strlen("https://");
	bool fine = strncmp(s, "https://", strlen("https://")) == 0 && is_plain(s) && *host &&
		    !strpbrk(host, "/?#@");
	if (*s && !fine)
		return err_set(
			e, EINVAL, "\"%.60s\" is no API server: it must be https://HOST[:PORT]", s);
	return copy_setting(s, field, size, e);
}

int setting_prefix(const char *s, void *field, size_t size, struct err *e)
{
	size_t len = strlen(s);
	if (len < 2 || *s != '/' || s[len - 1] != '/' || !is_plain(s))
		return err_set(e, EINVAL, "\"%.60s\" does not begin and end with /", s);
	return copy_setting(s, field, size, e);
}

int setting_path(const char *s, void *field, size_t size, struct err *e)
{
	int r = check_path(s, e);
	return r < 0 ? r : copy_setting(s, field, size, e);
}

int setting_path_or_none(const char *s, void *field, size_t size, struct err *e)
{
	return *s ? setting_path(s, field, size, e) : copy_setting(s, field, size, e);
}

int setting_socket(const char *s, void *field, size_t size, struct err *e)
{
	int r = check_path(s, e);
	if (r == 0 && strlen(s) > SOCKET_MAX)
		return err_set(e, EINVAL,
			"\"%.60s...\" has %zu bytes, a socket's path has %d at most", s, strlen(s),
			SOCKET_MAX);
	return r < 0 ? r : copy_setting(s, field, size, e);
}

int setting_word(const char *s, void *field, size_t size, struct err *e)
{
	return is_plain(s) ? copy_setting(s, field, size, e)
			   : err_set(e, EINVAL, "\"%.60s\" is no name", s);
}

int setting_device(const char *s, void *field, size_t size, struct err *e)
{
	if (!text_is_ifname(s) || strlen(s) > DEVICE_MAX || !is_plain(s))
		return err_set(e, EINVAL, "\"%.60s\" cannot name a device (%d bytes at most)", s,
			DEVICE_MAX);
	return copy_setting(s, field, size, e);
}

int setting_detect4(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return detect_parse(s, AF_INET, field, e);
}

int setting_detect6(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return detect_parse(s, AF_INET6, field, e);
}

/* One of two words; the second one is true. */
static int take_word(const char *s, const char *no, const char *yes, bool *field, struct err *e)
{
	*field = strcmp(s, yes) == 0;
	if (*field || strcmp(s, no) == 0)
		return 0;
	return err_set(e, EINVAL, "\"%.60s\" is neither %s nor %s", s, no, yes);
}

int setting_routes(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return take_word(s, "bgp", "static", field, e);
}

int setting_enforce(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return take_word(s, "auto", "none", field, e);
}

int setting_pending(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return take_word(s, "closed", "open", field, e);
}

int setting_mark(const char *s, void *field, size_t size, struct err *e)
{
	char *end;
	(void)size;
	errno = 0;
	unsigned long long mark = strtoull(s, &end, 0);
	if (!text_is_alnum(*s) || *end || errno || mark > UINT32_MAX || !mark || mark & (mark - 1))
		return err_set(e, EINVAL, "\"%.60s\" is not one bit of 32, as \"0x80000\" is", s);
	*(uint32_t *)field = (uint32_t)mark;
	return 0;
}

int setting_level(const char *s, void *field, size_t size, struct err *e)
{
	(void)size;
	return log_parse_level(s, field) == 0
		       ? 0
		       : err_set(e, EINVAL, "\"%.60s\" is neither error, warning, info nor debug",
				 s);
}

int setting_add_state_dir(const char *dir, struct agent_conf *out, struct err *e)
{
	int r = check_path(dir, e);
	if (r < 0)
		return r;
	if (out->n_state_dirs == AGENT_CONF_STATE_DIRS)
		return err_set(e, EINVAL, "more than %d state folders", AGENT_CONF_STATE_DIRS);
	for (size_t i = 0; i < out->n_state_dirs; i++)
		if (strcmp(out->state_dirs[i], dir) == 0)
			return err_set(e, EINVAL, "state folder %.200s is there twice", dir);
	if (!text_copy(out->state_dirs[out->n_state_dirs], AGENT_CONF_PATH, dir))
		return err_set(
			e, EINVAL, "\"%.60s...\" has more than %d bytes", dir, AGENT_CONF_PATH - 1);
	out->n_state_dirs++;
	return 0;
}
