# make test    install what the tests need, run all of them
# make fast    the tests that take seconds
# make slow    what is too long for every change
# make emulator    run the Firestore emulator on 127.0.0.1:8086 until it is interrupted
.PHONY: test fast slow bench emulator

test:
	@bash .ci/test

fast:
	go test -short ./...

slow:
	@CIS_TEST_SLOW=1 bash .ci/test

bench:
	go run ./cmd/cisbench --out BENCHMARKS.md

emulator:
	@.ci/firestore-emulator
