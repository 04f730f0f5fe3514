;; Two memories of 40 MiB each: one alone is within a limit of 64 MiB, both are not.
(component
  (core module $m
    (memory 640)
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $one (instantiate $m))
  (core instance $other (instantiate $m))
  (func $run (result (result)) (canon lift (core func $other "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))
