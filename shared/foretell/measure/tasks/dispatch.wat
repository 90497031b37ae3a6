;; Interprets argument instructions of a small register machine. The next operation is picked by the
;; accumulator itself and called through a table, so branches are hard to foresee. Returns the
;; accumulator, which starts at 1.
;; Work grows with argument. Memory: none.
(module
  (type $operation (func (param i32) (result i32)))
  (table $operations 8 funcref)
  (elem (i32.const 0) $increase $triple $rotate $flip $square $shuffle $subtract $spread)
  (global $counter (mut i32) (i32.const 0))

  (func $increase (param $x i32) (result i32) (i32.add (local.get $x) (i32.const 0x6d2b79f5)))
  (func $triple (param $x i32) (result i32)
    (i32.add (i32.mul (local.get $x) (i32.const 3)) (i32.const 1)))
  (func $rotate (param $x i32) (result i32) (i32.rotl (local.get $x) (i32.const 7)))
  (func $flip (param $x i32) (result i32) (i32.xor (local.get $x) (i32.const 0x55aa55aa)))
  (func $square (param $x i32) (result i32)
    (i32.add (i32.mul (local.get $x) (local.get $x)) (i32.const 7)))
  (func $shuffle (param $x i32) (result i32)
    (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 15))))
  (func $subtract (param $x i32) (result i32) (i32.sub (local.get $x) (global.get $counter)))
  (func $spread (param $x i32) (result i32) (i32.mul (local.get $x) (i32.const 0x2c1b3c6d)))

  (func (export "run") (param $count i32) (result i32)
    (local $x i32)
    (local.set $x (i32.const 1))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
        (local.set $x
          (call_indirect $operations (type $operation)
            (local.get $x)
            ;; The counter takes part, or the accumulator could fall into a short cycle.
            (i32.and
              (i32.xor (i32.shr_u (local.get $x) (i32.const 9)) (global.get $counter))
              (i32.const 7))))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $x)))
