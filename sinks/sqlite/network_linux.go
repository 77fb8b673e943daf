package sqlite

import "syscall"

// networkName returns the kind of network or FUSE file system that dir is on,
// "" if it is on none or that cannot be told. The numbers are those of
// statfs(2) and linux/magic.h.
func networkName(dir string) string {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return ""
	}
	return networkMagic(uint32(st.Type))
}

func networkMagic(magic uint32) string {
	switch magic {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xfe534d42, 0xff534d42:
		return "SMB"
	case 0x65735546:
		return "FUSE"
	case 0x01021997:
		return "9P"
	case 0x5346414f:
		return "AFS"
	case 0x00c36400:
		return "Ceph"
	}
	return ""
}
